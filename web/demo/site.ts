/** What this site holds, as `site.json` says. */

export interface SiteAgent {
  readonly name: string;
  readonly description: string;
  readonly path: string;
}

export interface SiteModel {
  readonly name: string;
  /** Address of its chunk manifest. */
  readonly manifest: string;
  readonly size: number;
  readonly license: string;
  readonly license_url: string;
}

export interface Site {
  readonly agents: readonly SiteAgent[];
  readonly models: readonly SiteModel[];
}

/** The site's list; an empty one where it can't be read, with a sentence. */
export async function loadSite(): Promise<Site & { readonly problem?: string }> {
  try {
    const response = await fetch("site.json", { cache: "no-cache" });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return (await response.json()) as Site;
  } catch (error) {
    return {
      agents: [],
      models: [],
      problem: `site.json can't be read (${(error as Error).message}): load a file of your own`,
    };
  }
}
