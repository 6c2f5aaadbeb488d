/** What the page shows and needs to know about a model. */

import { texts, text } from "./facts";
import type { Server } from "./server";

export interface Model {
  modelId: string;
  name?: string;
  modality?: string;
  timing?: string;
  /** The reference types that it takes, if Layer lists them. */
  guidanceTypes?: string[];
  ignores: string[];
}

const TYPES = /^guidance_files types: (.+)\.$/;

/** Read a model by its ID; if it can't be read, only the ID is set. */
export async function modelOf(server: Server, modelId: string, workspaceId?: string): Promise<Model> {
  try {
    const facts = await server.call("get_model", { model_id: modelId, workspace_id: workspaceId });
    const named = texts(facts.notes).map((note) => TYPES.exec(note)?.[1]).find(Boolean);
    return {
      modelId,
      name: text(facts.name),
      modality: text(facts.modality),
      timing: text(facts.inference_timing),
      guidanceTypes: named?.split(", "),
      ignores: texts(facts.ignores),
    };
  } catch {
    return { modelId, ignores: [] };
  }
}
