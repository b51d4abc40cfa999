import { INotebookTracker, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';

import { icon } from './icon';
import { Entry, Section, Workspace, workspaces } from './kernel';

const NO_NOTEBOOK = 'Open a notebook that uses workbench.';
const NO_WORKSPACE = 'No workspace is open in this notebook yet.';
const FIRST_CELL = 'import workbench as wb\n\ndb = wb.demo()\ndb';

/** The catalog of the workspaces that the active notebook has open; a click inserts the code for an entry. */
export class CatalogPanel extends Widget {
  private readonly search = document.createElement('input');
  private readonly status = document.createElement('p');
  private readonly tree = document.createElement('div');
  private readonly folded = new Set<string>();
  private shown: Workspace[] = [];
  private asked = 0;

  constructor(private readonly tracker: INotebookTracker) {
    super();
    this.id = 'workbench-catalog';
    this.addClass('wb-catalog');
    this.title.icon = icon;
    this.title.caption = 'workbench catalog';

    const head = document.createElement('header');
    const title = document.createElement('h2');
    title.textContent = 'Catalog';
    const refresh = document.createElement('button');
    refresh.className = 'jp-mod-styled jp-mod-minimal';
    refresh.textContent = 'Refresh';
    refresh.addEventListener('click', () => void this.refresh());
    head.append(title, refresh);

    this.search.type = 'search';
    this.search.placeholder = 'Filter';
    this.search.className = 'jp-mod-styled';
    this.search.setAttribute('aria-label', 'Filter the catalog');
    this.search.addEventListener('input', () => this.draw());
    this.status.setAttribute('role', 'status');
    this.node.append(head, this.search, this.status, this.tree);

    tracker.currentChanged.connect((_, notebook) => this.follow(notebook));
    NotebookActions.executed.connect((_, cell) => {
      if (cell.notebook === tracker.currentWidget?.content) {
        void this.refresh();
      }
    });
    this.follow(tracker.currentWidget);
  }

  /** Ask the active notebook's kernel again and draw what it has. */
  async refresh(): Promise<void> {
    const turn = ++this.asked;
    let found: Workspace[] | undefined;
    let said = '';
    try {
      found = await workspaces(this.tracker);
    } catch (error) {
      said = `The catalog cannot be read: ${error instanceof Error ? error.message : error}`;
    }
    if (turn !== this.asked || this.isDisposed) {
      return; // a later question is under way
    }
    this.shown = found ?? [];
    if (!said && !this.shown.length) {
      said = this.tracker.currentWidget ? NO_WORKSPACE : NO_NOTEBOOK;
    }
    this.status.textContent = said;
    this.draw();
  }

  private follow(notebook: NotebookPanel | null): void {
    void notebook?.sessionContext.ready.then(() => this.refresh());
    void this.refresh();
  }

  private draw(): void {
    this.search.hidden = !this.shown.length;
    this.tree.replaceChildren(...this.shown.map(workspace => this.workspace(workspace)));
    if (!this.shown.length && this.tracker.currentWidget) {
      const start = document.createElement('button');
      start.className = 'jp-mod-styled jp-mod-accept';
      start.textContent = 'Open the demo';
      start.addEventListener('click', () => this.insert(FIRST_CELL));
      this.tree.append(start);
    }
  }

  private workspace(workspace: Workspace): HTMLElement {
    const box = document.createElement('section');
    const title = document.createElement('h3');
    title.textContent = workspace.variable;
    title.title = workspace.path;
    const note = document.createElement('p');
    note.className = 'wb-note';
    note.textContent = workspace.note;
    box.append(title, note);
    for (const problem of workspace.problems) {
      const line = document.createElement('p');
      line.className = 'wb-problem';
      line.textContent = problem;
      box.append(line);
    }
    box.append(...workspace.sections.map(section => this.section(workspace, section)));
    return box;
  }

  private section(workspace: Workspace, section: Section): HTMLElement {
    const wanted = this.search.value.trim().toLowerCase();
    const entries = section.entries.filter(e => `${e.name} ${e.title}`.toLowerCase().includes(wanted));
    const key = `${workspace.variable}/${section.name}`;
    const box = document.createElement('details');
    box.open = !this.folded.has(key);
    box.hidden = !entries.length;
    box.addEventListener('toggle', () => (box.open ? this.folded.delete(key) : this.folded.add(key)));
    const title = document.createElement('summary');
    title.textContent = `${section.name} (${entries.length})`;
    const list = document.createElement('ul');
    list.append(...entries.map(entry => this.entry(entry)));
    box.append(title, list);
    return box;
  }

  private entry(entry: Entry): HTMLElement {
    const line = document.createElement('li');
    const button = document.createElement('button');
    const name = document.createElement('span');
    const note = document.createElement('small');
    name.textContent = entry.name;
    note.textContent = entry.note;
    button.append(name, note);
    button.title = `${entry.title}\n\nClick to insert:\n${entry.code}`.trim();
    button.draggable = true;
    button.addEventListener('click', () => this.insert(entry.code));
    button.addEventListener('dragstart', event => event.dataTransfer?.setData('text/plain', entry.code));
    line.append(button);
    return line;
  }

  /** Put code into a new cell below the active one; an empty active cell takes it itself. */
  private insert(code: string): void {
    const notebook = this.tracker.currentWidget?.content;
    if (!notebook) {
      return;
    }
    const active = notebook.activeCell?.model;
    if (active?.type !== 'code' || active.sharedModel.getSource().trim()) {
      NotebookActions.insertBelow(notebook);
    }
    notebook.activeCell?.model.sharedModel.setSource(code);
    notebook.activate();
  }
}
