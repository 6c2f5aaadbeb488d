/** What the page says and needs of a model. */

import { texts, text } from "./facts";
import type { Server } from "./server";

export interface Model {
  modelId: string;
  name?: string;
  timing?: string;
  /** The kinds of references that it takes; nothing where Layer does not say. */
  guidanceTypes?: string[];
  ignores: string[];
}

const TYPES = /^guidance_files types: (.+)\.$/;

/** A model by its id; one that cannot be read has only that. */
export async function modelOf(server: Server, modelId: string, workspaceId?: string): Promise<Model> {
  try {
    const facts = await server.call("get_model", { model_id: modelId, workspace_id: workspaceId });
    const named = texts(facts.notes).map((note) => TYPES.exec(note)?.[1]).find(Boolean);
    return {
      modelId,
      name: text(facts.name),
      timing: text(facts.inference_timing),
      guidanceTypes: named?.split(", "),
      ignores: texts(facts.ignores),
    };
  } catch {
    return { modelId, ignores: [] };
  }
}
