import { LabIcon } from '@jupyterlab/ui-components';

/** Three nodes and the edges between them. */
export const icon = new LabIcon({
  name: 'workbench:icon',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
    <g class="jp-icon3" fill="#616161" stroke="#616161" stroke-width="1.5">
      <path d="M6 12 18 6M6 12l12 6" fill="none"/>
      <circle cx="6" cy="12" r="3.5"/><circle cx="18" cy="6" r="3"/><circle cx="18" cy="18" r="3"/>
    </g>
  </svg>`
});
