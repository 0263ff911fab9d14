// SPDX-License-Identifier: MIT
// machine.mjs FOLDER: a machine in v86 whose serial port is standard input and output. FOLDER is what build.sh has made.

import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const { V86 } = await import(join(folder, 'node_modules/v86/build/libv86.mjs'));
const file = (...names) => ({ buffer: new Uint8Array(readFileSync(join(folder, ...names))).buffer });

process.send('starts');
const machine = new V86({
  wasm_path: join(folder, 'node_modules/v86/build/v86.wasm'),
  bios: file('packages/usr/share/seabios/bios.bin'),
  vga_bios: file('packages/usr/share/seabios/vgabios-stdvga.bin'),
  bzimage: file('vmlinuz'),
  initrd: file('initramfs.gz'),
  // Its clock follows the host's: the kernel needs no check of it.
  cmdline: 'console=ttyS0 tsc=reliable',
  // As much as the guest has.
  memory_size: 256 << 20,
  vga_memory_size: 1 << 20,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
  fastboot: true,
  autostart: true,
});
// Byte by byte and at once: the reader takes the time.
machine.add_listener('serial0-output-byte', (byte) => writeSync(1, Uint8Array.of(byte)));
process.stdin.on('data', (bytes) => machine.serial0_send(bytes.toString('latin1')));
process.stdin.on('end', () => process.exit(0));
