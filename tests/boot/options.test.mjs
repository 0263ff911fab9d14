// SPDX-License-Identifier: MIT
// What users write: options and help of the command line program. The bounds that it shows are those of the host.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootSession, build, cli, root, runCli } from './machines.mjs';

const refused = async (words, message) => {
  const { status, stdout, stderr } = await runCli(words);
  assert.equal(status, 2, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, message);
  assert.match(stderr, /^auklet: [^\n]+\n$/, 'one line');
};

for (const command of ['console', 'exec'])
  for (const [option, value, message] of [
    ['memory', '16', /--memory must be a whole number from 32 to 4095 MiB, not 16/],
    ['memory', '4096', /from 32 to 4095 MiB, not 4096/],
    ['memory', 'abc', /not abc/],
    ['memory', '64.5', /not 64\.5/],
    ['memory', '-64', /not -64/],
    ['memory', '', /not empty/],
    ['cpus', '0', /--cpus must be a whole number from 1 to 8, not 0/],
    ['cpus', '0x2', /not 0x2/],
  ])
    test(`${command} --${option}=${value} is refused`, () =>
      refused([command, `--${option}=${value}`, ...(command === 'exec' ? ['--', 'true'] : [])], message));

test('an option given twice is refused', () => refused(['exec', '--cpus', '1', '--cpus', '2', '--', 'true'], /twice/));
test('a command without -- that has options of its own', () =>
  refused(['exec', 'ls', '-l'], /write -- before the command: \.\/auklet exec -- ls -l/));

test('a machine has the bounds that are shown', async () => {
  for (const [option, least, most] of [
    ['cpus', 1, 8],
    ['memory', 32, 4095],
  ])
    for (const value of [least - 1, most + 1])
      await assert.rejects(
        async () => {
          const { machine } = await bootSession(undefined, { [option]: value });
          await machine.started.finally(() => machine.dispose());
        },
        (error) => {
          assert.match(error.message, new RegExp(`\\b${option}\\b.*\\b${least} (and|to) ${most}\\b`));
          assert.match(error.message, new RegExp(`\\b${value}\\b`));
          return true;
        },
      );
});

test('help for every command, with and without a build', async () => {
  const script = join(root, 'auklet');
  const run = (...words) => spawnSync(script, words, { encoding: 'utf8', env: { ...process.env, AUKLET_INSIDE: '' } });
  const folder = join(root, 'web/src/node/help');
  const commands = readFileSync(script, 'utf8')
    .match(/^case \$command in\n([^]*)^esac/m)[1]
    .match(/^[a-z][a-z+ |-]*\)$/gm)
    .flatMap((line) => line.slice(0, -1).split(' | '))
    .filter((name) => /^[a-z]/.test(name));
  assert(commands.includes('exec') && commands.includes('clean'), commands.join());
  for (const command of commands) {
    const name = command === 'c++' ? 'cc' : command;
    const text = readFileSync(join(folder, `${name}.txt`), 'utf8');
    assert.match(text, /^usage: \.\/auklet /);
    for (const words of [
      [command, '--help'],
      ['help', command],
    ]) {
      const { status, stdout, stderr } = run(...words);
      assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: text, stderr: '' }, words.join(' '));
    }
    assert.match(readFileSync(join(folder, 'help.txt'), 'utf8'), new RegExp(`(^  |\\| )${name}\\b`, 'm'));
  }
  assert.deepEqual(
    new Set(commands.map((name) => `${name === 'c++' ? 'cc' : name}.txt`)),
    new Set(readdirSync(folder)),
  );
  for (const words of [
    ['exec', '--help'],
    ['exec', '--cpus', '2', '-h'],
    ['help', 'exec'],
  ]) {
    const { status, stdout, stderr } = await runCli(words);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.equal(stdout, readFileSync(join(folder, 'exec.txt'), 'utf8'));
  }
  // Every option that is known is explained, and no other.
  for (const [command, file] of [
    ['exec', 'exec'],
    ['console', 'console'],
    ['serve', 'run'],
  ]) {
    const { stderr } = await runCli([command, '--no-such-option']);
    const known = [...stderr.matchAll(/(?<=[ ,])--([a-z]+(?:-[a-z]+)*)/g)].map(([, name]) => name).slice(1);
    const explained = [...readFileSync(join(folder, `${file}.txt`), 'utf8').matchAll(/^  --([a-z-]+)/gm)];
    assert.deepEqual(
      known.filter((name) => !['help', 'no-isolation'].includes(name)).sort(),
      explained.map(([, name]) => name).sort(),
    );
  }
});

test('-- ends what is ours: --help behind it is the command’s', async () => {
  const { status, stdout } = await runCli(['exec', '--', 'echo', '--help']);
  assert.deepEqual({ status, stdout }, { status: 0, stdout: '--help\n' });
});

/** Starts `serve`; resolves with the port when it listens. */
async function startServer(suite, options) {
  const server = spawn(process.execPath, [cli, 'serve', '--port', '0', ...options, join(build, 'dist')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  suite.after(() => server.kill());
  const [output] = await once(server.stdout, 'data');
  return String(output).match(/http:\/\/([^/]*):(\d+)\//);
}

test('run --host', async (suite) => {
  const reachable = (host, port) =>
    fetch(`http://${host}:${port}/`).then(
      ({ status }) => status,
      () => 'refused',
    );
  const [, , own] = await startServer(suite, []);
  assert.equal(await reachable('127.0.0.1', own), 200);
  assert.equal(await reachable('127.0.0.2', own), 'refused');
  const [, shown, all] = await startServer(suite, ['--host', '0.0.0.0']);
  assert.equal(shown, 'localhost');
  assert.equal(await reachable('127.0.0.2', all), 200);
  const [, one] = await startServer(suite, ['--host=127.0.0.3']);
  assert.equal(one, '127.0.0.3');
  await refused(['serve', '--host', 'no address', '.'], /--host must be an address or a host name, not no address/);
  const { status, stderr } = await runCli(['serve', '--host', '192.0.2.1', '--port', '0', '.']);
  assert.equal(status, 1);
  assert.match(stderr, /^auklet: --host 192\.0\.2\.1: this computer has no such address[^\n]*\n$/);
});
