/** Parts of the page that stay compressed until they are needed, so that the page starts sooner. */

/** Run a compressed script once, and return the global that it sets. */
export async function unpacked<Part>(id: string, global: string): Promise<Part> {
  const page = window as unknown as Record<string, Part | undefined>;
  if (page[global] === undefined) {
    const packed = atob(document.getElementById(id)?.textContent?.trim() ?? "");
    const bytes = Uint8Array.from(packed, (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }
  const part = page[global];
  if (part === undefined) throw new Error(`${id} does not start`);
  return part;
}
