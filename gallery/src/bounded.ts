/** Read a response of unknown size. */

export class TooLarge extends Error {}

/** Return the bytes of a response; throw `TooLarge` as soon as there are more than `most`. */
export async function bounded(answer: Response, most: number): Promise<ArrayBuffer> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = answer.body?.getReader();
  let size = 0;
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size > most) {
      void reader?.cancel().catch(() => undefined);
      throw new TooLarge();
    }
    parts.push(part.value);
  }
  return new Blob(parts).arrayBuffer();
}
