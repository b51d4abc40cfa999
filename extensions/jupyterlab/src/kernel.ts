import { INotebookTracker } from '@jupyterlab/notebook';
import { KernelMessage } from '@jupyterlab/services';

/** Something that the catalog lists, and the code that shows it. */
export interface Entry {
  name: string;
  note: string;
  title: string;
  code: string;
}

/** One part of the catalog, such as the event types. */
export interface Section {
  name: string;
  entries: Entry[];
}

/** An open workspace, by the variable that holds it. */
export interface Workspace {
  variable: string;
  path: string;
  note: string;
  sections: Section[];
  problems: string[];
}

// Only asks a kernel that has workbench loaded already: nothing is imported for the panel's sake.
const QUESTION =
  "__import__('importlib').import_module('workbench.jupyter.panel').Panel(globals())" +
  " if 'workbench' in __import__('sys').modules else None";

/**
 * Ask the active notebook's kernel which workspaces its variables hold.
 *
 * @returns The workspaces; undefined where there is no kernel or no workbench in it.
 */
export async function workspaces(tracker: INotebookTracker): Promise<Workspace[] | undefined> {
  const kernel = tracker.currentWidget?.sessionContext.session?.kernel;
  if (!kernel) {
    return undefined;
  }
  const future = kernel.requestExecute({
    code: '',
    silent: true,
    store_history: false,
    allow_stdin: false,
    user_expressions: { workbench: QUESTION }
  });
  const reply = (await future.done) as KernelMessage.IExecuteReplyMsg;
  if (reply.content.status !== 'ok') {
    return undefined;
  }
  const answer = reply.content.user_expressions.workbench as unknown as {
    status: string;
    evalue?: string;
    data?: Record<string, unknown>;
  };
  if (answer.status !== 'ok') {
    throw new Error(answer.evalue ?? 'the kernel gave no answer');
  }
  return answer.data?.['application/json'] as Workspace[] | undefined;
}
