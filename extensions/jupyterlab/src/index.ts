import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, showErrorMessage } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Contents, ServerConnection } from '@jupyterlab/services';

import { icon } from './icon';
import { CatalogPanel } from './panel';

const CATEGORY = 'Workbench';
const PACKAGE = 'workbench-lab';

const INVESTIGATION = {
  cells: [
    { cell_type: 'markdown', id: 'title', metadata: {}, source: '# Investigation' },
    code('open', 'import workbench as wb\n\ndb = wb.demo()  # or wb.open("a-workspace"), wb.open("logs/*.parquet")\ndb'),
    code('magics', '%load_ext workbench'),
    code('ask', '%%ask\nwhat data do you have')
  ],
  metadata: { kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' } },
  nbformat: 4,
  nbformat_minor: 5
};

function code(id: string, source: string): object {
  return { cell_type: 'code', id, metadata: {}, source, execution_count: null, outputs: [] };
}

/** The tour as it came with the package. */
async function tour(settings: ServerConnection.ISettings): Promise<unknown> {
  const path = URLExt.join(PageConfig.getOption('fullLabextensionsUrl'), PACKAGE, 'static', '00_tour.ipynb');
  const response = await ServerConnection.makeRequest(new URL(path, settings.baseUrl).href, {}, settings);
  if (!response.ok) {
    throw new Error(`the tour is not installed (${response.status}).`);
  }
  return response.json();
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: `${PACKAGE}:plugin`,
  description: 'The catalog of the open workspace beside the notebook, and launcher cards.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ILauncher, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    launcher: ILauncher | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const panel = new CatalogPanel(tracker);
    app.shell.add(panel, 'left', { rank: 600 });
    restorer?.add(panel, panel.id);

    const start = async (content: unknown, folder: unknown): Promise<unknown> => {
      const contents = app.serviceManager.contents;
      const file: Contents.IModel = await contents.newUntitled({
        type: 'notebook',
        path: typeof folder === 'string' ? folder : ''
      });
      await contents.save(file.path, { type: 'notebook', format: 'json', content });
      // what is opened is given back: the launcher makes room for it
      return app.commands.execute('docmanager:open', { path: file.path, factory: 'Notebook' });
    };
    const commands: { id: string; label: string; caption: string; run: (folder: unknown) => Promise<unknown> }[] = [
      {
        id: 'workbench:tour',
        label: 'Tour',
        caption: 'A copy of the tour: what the flights of 2013 tell',
        run: async folder => start(await tour(app.serviceManager.serverSettings), folder)
      },
      {
        id: 'workbench:investigation',
        label: 'New investigation',
        caption: 'A notebook with an open workspace',
        run: folder => start(INVESTIGATION, folder)
      }
    ];
    commands.forEach(({ id, label, caption, run }, rank) => {
      app.commands.addCommand(id, {
        label,
        caption,
        icon,
        execute: args => run(args.cwd).catch(error => showErrorMessage(label, error))
      });
      launcher?.add({ command: id, category: CATEGORY, rank });
      palette?.addItem({ command: id, category: CATEGORY });
    });
    app.commands.addCommand('workbench:refresh', {
      label: 'Refresh the catalog',
      execute: () => panel.refresh()
    });
    palette?.addItem({ command: 'workbench:refresh', category: CATEGORY });
  }
};

export default plugin;
