// SPDX-License-Identifier: MIT
// The network fetch in Node.js: HTTP and nothing else, and of this computer only what is allowed.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, runCli } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const MIB = 1 << 20;
const GATEWAY = '10.0.2.2';
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function start(suite, network) {
  const machine = await startMachine({ exec: true, memory: 256, network: { type: 'fetch', ...network } });
  suite.after(() => machine.dispose());
  await machine.started;
  const run = async (line, options) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line], options);
    return { status, text: Buffer.concat([stdout, stderr]).toString() };
  };
  return Object.assign(run, { network: machine.network });
}

test('HTTP by Node.js', async (suite) => {
  const content = randomBytes(8 * MIB);
  const server = createServer((request, response) => {
    if (request.url === '/away') return response.writeHead(302, { location: 'http://192.168.0.1/' }).end();
    if (request.method === 'GET') return response.end(content);
    const hash = createHash('sha256');
    request.on('data', (bytes) => hash.update(bytes));
    request.on('end', () => response.end(hash.digest('hex')));
    return undefined;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  suite.after(() => (server.close(), server.closeAllConnections()));
  const { port } = server.address();
  const url = `http://${GATEWAY}:${port}`;
  const result = await start(suite, { allow: [`host:${port}`] });

  await suite.test('a port of this computer that is allowed', async () => {
    const { text } = await result(`wget -q -O - ${url}/ | sha256sum`);
    assert.equal(text, `${sha256(content)}  -\n`);
    // More than is collected before it is sent.
    const large = Buffer.from(
      randomBytes(9 * MIB)
        .toString('hex')
        .slice(0, 12 * MIB),
    );
    assert.equal((await result('cat > /tmp/large', { stdin: large })).status, 0);
    assert.equal((await result(`wget -q -O - --post-file /tmp/large ${url}/up`)).text, sha256(large));
  });

  await suite.test('nothing else of it, and no private address', async () => {
    for (const [where, expected] of [
      [`${GATEWAY}:${port === 65_535 ? 1 : port + 1}/`, /Connection refused/],
      [`${GATEWAY}/`, /403|refused/],
      ['127.0.0.1/', /refused/],
      ['169.254.169.254/', /403 .*may not reach 169\.254\.169\.254/],
      ['192.168.0.1/', /403 .*may not reach 192\.168\.0\.1/],
      [`${GATEWAY}:${port}/away`, /403 .*may not reach 192\.168\.0\.1/],
      ['localhost.localdomain/', /403|502|bad address|refused/],
      ['no-such-name.invalid/', /502 .*nobody has this name/],
    ]) {
      const { status, text } = await result(`wget -O /dev/null http://${where}`);
      assert.notEqual(status, 0, where);
      assert.match(text, expected, where);
    }
  });

  await suite.test('only HTTP, to port 80', async () => {
    for (const where of ['192.0.2.1:443', 'example.org:8080', '[fd00::99]:80'])
      assert.match((await result(`wget -O - http://${where}/`)).text, /Connection refused|unreachable/, where);
  });
});

test('https that ends in the program', async (suite) => {
  const result = await start(suite, { intercept: true });
  const authority = '/usr/local/share/ca-certificates/auklet-interception.crt';
  assert.match((await result(`cat ${authority}`)).text, /^-----BEGIN CERTIFICATE-----/);
  for (const [where, expected] of [
    ['no-such-name.invalid/', /502 .*nobody has this name/],
    ['localhost.localdomain/', /403|502|bad address/],
    ['no-such-name.invalid:444/', /Connection refused/],
    [`${GATEWAY}/`, /Connection refused/],
  ]) {
    const { status, text } = await result(`wget -O /dev/null https://${where}`);
    assert.notEqual(status, 0, where);
    assert.match(text, expected, where);
  }
  // Another network, and this one again, with the same authority.
  const { network } = result;
  const states = [];
  const isBack = new Promise((resolve) => {
    network.onState((state) => {
      states.push(state);
      if (state === 'connected' && states.includes('off')) resolve();
    });
  });
  const before = (await result(`cat ${authority}`)).text;
  network.exchange({ type: 'local' });
  network.exchange({ type: 'fetch', intercept: true });
  await isBack;
  assert.match((await result('wget -O - https://no-such-name.invalid/')).text, /502 .*nobody has this name/);
  assert.equal((await result(`cat ${authority}`)).text, before);
});

test('by the command line', async () => {
  const run = (...words) => runCli(['exec', ...words, '--', 'wget', '-O', '-', 'http://169.254.169.254/']);
  const { status, stderr } = await run('--network=fetch');
  assert.equal(status, 1);
  assert.match(stderr, /403 .*may not reach/);
  assert.match((await run('--network=fetch', '--publish', '1:2')).stderr, /--publish needs --network nat/);
});
