"""One generator a skill; `SKILLS` in `catalogue.py` lists them with their shares and bars."""
