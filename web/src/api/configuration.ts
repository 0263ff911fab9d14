// SPDX-License-Identifier: MIT
// What a machine's options are for its host.

import { NUMBER_OPTION_NAMES } from '../machine/options.ts';
import type { MachineConfiguration } from '../machine/protocol.ts';
import { ROOT_ARGUMENT } from './root.ts';
import type { BootOptions } from './types.ts';

export function configurationOf(options: BootOptions): MachineConfiguration {
  const { kernelArguments, timeZone, exec, login, root, sockets } = options;
  const configuration: MachineConfiguration = {};
  for (const name of NUMBER_OPTION_NAMES) {
    const value = options[name];
    if (value !== undefined) configuration[name] = value;
  }
  // Words that the kernel does not know become variables of init.
  const words = [
    timeZone === undefined ? undefined : `TZ=${timeZone}`,
    root === undefined ? undefined : ROOT_ARGUMENT,
    kernelArguments,
    // /sbin/sysinit starts the agent in place of the login, or beside it.
    !exec ? undefined : login ? 'auklet.agent' : 'auklet.exec',
  ].filter((text) => text !== undefined);
  if (words.length > 0) configuration.kernelArguments = words.join(' ');
  if (sockets === false) configuration.sockets = false;
  return configuration;
}
