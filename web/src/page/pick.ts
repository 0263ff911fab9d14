// SPDX-License-Identifier: MIT
// Lets the visitor pick files of the computer.

export interface PickOptions {
  /** Extensions that are offered first. */
  accept?: string;
  multiple?: boolean;
  /** A folder with all that is in it, in place of files. */
  folder?: boolean;
}

/** What the visitor picks, in a click: nothing if that is cancelled. */
export function pick({ accept = '', multiple = false, folder = false }: PickOptions = {}): Promise<File[]> {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = accept;
  input.multiple = multiple;
  input.webkitdirectory = folder;
  return new Promise((resolve) => {
    input.addEventListener('change', () => resolve([...(input.files ?? [])]));
    input.addEventListener('cancel', () => resolve([]));
    input.click();
  });
}
