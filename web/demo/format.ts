/** Figures as people read them. Pure. */

/** 3313152 → "3.3 MB". */
export function bytes(count: number): string {
  if (!Number.isFinite(count)) return "unlimited";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, count < 1000 ? 0 : Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${power === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[power] ?? ""}`;
}

/** 0.0421 → "42 ms", 3.21 → "3.2 s". */
export function seconds(value: number): string {
  return value < 1 ? `${(value * 1000).toFixed(0)} ms` : `${value.toFixed(1)} s`;
}

/** Tokens a second, or nothing where there is nothing to count. */
export function rate(tokens: number, overS: number): string {
  if (tokens < 2 || overS <= 0) return "";
  const perSecond = tokens / overS;
  return `${perSecond.toFixed(perSecond < 10 ? 1 : 0)} tokens/s`;
}

/** 1 → "1 token", 2 → "2 tokens". */
export function count(value: number, word: string): string {
  return `${value} ${word}${value === 1 ? "" : "s"}`;
}

/** Parts with a dot between them, empty ones left out. */
export function list(...parts: string[]): string {
  return parts.filter(Boolean).join(" · ");
}
