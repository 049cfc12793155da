/** Tabs as the ARIA practices have them: arrows move, Home and End jump, the address remembers. */

export function startTabs(list: HTMLElement, onShow: (id: string) => void): (id: string) => void {
  const tabs = [...list.querySelectorAll<HTMLElement>('[role="tab"]')];
  const show = (chosen: HTMLElement): void => {
    for (const tab of tabs) {
      const isChosen = tab === chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      const panel = document.getElementById(tab.getAttribute("aria-controls") ?? "");
      if (panel) panel.hidden = !isChosen;
    }
    onShow(chosen.id);
  };
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => {
      show(tab);
      history.replaceState(null, "", `#${tab.id.replace("tab-", "")}`);
    });
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = tabs[(to + tabs.length) % tabs.length];
      next?.focus();
      next?.click();
    });
  }
  const open = (id: string): void => {
    const tab = tabs.find((entry) => entry.id === `tab-${id}`);
    if (tab) show(tab);
  };
  open(location.hash.slice(1));
  return open;
}
