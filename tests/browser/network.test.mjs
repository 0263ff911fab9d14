// SPDX-License-Identifier: MIT
// The network in a page: without any server, by a relay, and to the page itself.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { cli } from '../boot/machines.mjs';
import { BROWSER, launchPage, servePage } from './browsers.mjs';

const GATEWAY = '10.0.2.2';

/** In the page: boots `machine`, or returns why not. */
async function start(network) {
  await globalThis.machine?.dispose();
  try {
    globalThis.machine = new auklet.Machine({ cpus: 1, memory: 128, exec: true, network });
    await machine.started;
    return 'started';
  } catch (error) {
    await globalThis.machine?.dispose();
    return `${error.code}: ${error.message}`;
  }
}

/** In the page: status and output of a command. */
async function run(line) {
  const { status, stdout, stderr } = await machine.exec(['sh', '-c', line]);
  return `${status} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim();
}

/** In the page: the owner's side of a machine's network. */
async function own() {
  const bytes = (text) => new TextEncoder().encode(text);
  const all = async (stream) => {
    const decoder = new TextDecoder();
    let text = '';
    const reader = stream.getReader();
    for (let part; !(part = await reader.read()).done;) text += decoder.decode(part.value, { stream: true });
    return text;
  };
  await machine.exec(['sh', '-c', 'mkdir -p /tmp/www; echo hello > /tmp/www/file; httpd -p 80 -h /tmp/www']);
  const response = await machine.network.fetch(80, 'http://localhost/file');
  const found = `${response.status} ${await response.text()}`;
  machine.network.listen(99, async (socket) => {
    const text = await all(socket.readable);
    const writer = socket.writable.getWriter();
    await writer.write(bytes(`you said ${text}`));
    await writer.close();
  });
  const said = await machine.exec(['sh', '-c', 'echo hi | nc owner.auklet 99']);
  const refused = await machine.network.connect(7).catch(({ code }) => code);
  return [found.trim(), new TextDecoder().decode(said.stdout).trim(), refused];
}

async function listen(suite, server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  suite.after(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return server.address().port;
}

/** A relay on loopback, and its address. */
async function startRelay(suite, words = []) {
  const relay = spawn(process.execPath, [cli, 'relay', '--port', '0', '--network-allow', 'host', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  suite.after(() => relay.kill('SIGKILL'));
  const [line] = await once(createInterface(relay.stdout), 'line');
  return { relay, url: /ws:\S+/.exec(line)[0] };
}

test(`the network in ${BROWSER}`, async (suite) => {
  const address = await servePage(suite);
  const page = await launchPage(suite);
  await page.goto(`${address}?saving=0`);
  await page.waitForFunction(() => globalThis.auklet !== undefined);
  await page.evaluate(() => auklet.current?.dispose());
  const boot = (network) => page.evaluate(start, network);
  const command = (line) => page.evaluate(run, line);

  await suite.test('no sockets in a page', async () => {
    assert.match(await boot({ type: 'nat' }), /^invalid-option: .*only Node\.js has sockets/);
    assert.match(await boot({ type: 'wisp' }), /^invalid-option: .*url/);
    assert.match(await boot({ type: 'fetch', intercept: 'yes' }), /^invalid-option: .*intercept/);
  });

  await suite.test('fetch: the page’s own files, and nothing else', async () => {
    assert.equal(await boot({ type: 'fetch', plain: true }), 'started');
    assert.match(await command('wget -q -O - http://origin.auklet/about.html'), /^0 [^]*<title>/);
    assert.match(await command('wget -O - http://origin.auklet/none'), /^1 [^]*404/);
    assert.match(await command('wget -O - http://origin.auklet:81/'), /^1 [^]*refused/);
    assert.match(await command('wget -O - https://origin.auklet/'), /^1 [^]*refused/);
    assert.match(await command(`ping -c 1 ${GATEWAY}`), /1 packets received/);
  });

  await suite.test('the owner and programs in the guest', async () => {
    assert.deepEqual(await page.evaluate(own), ['200 hello', 'you said hi', 'refused']);
  });

  await suite.test('fetch with interception: https ends in the page', async () => {
    assert.equal(await boot({ type: 'fetch', plain: true, intercept: true }), 'started');
    const plain = await command('wget -q -O - http://origin.auklet/about.html | sha256sum');
    assert.match(plain, /^0 [\da-f]{64}  -$/);
    assert.equal(await command('wget -q -O - https://origin.auklet/about.html 2> /dev/null | sha256sum'), plain);
    const both = 'wget -q -O - https://origin.auklet/about.html 2> /dev/null | sha256sum';
    assert.equal(await command(`(${both}) & (${both}) & wait`), `${plain}\n${plain.slice(2)}`);
    assert.match(await command('wget -O - https://origin.auklet/none'), /^1 [^]*404/);
    // Addresses have no certificate, and only port 443 has TLS.
    assert.match(await command(`wget -O - https://${GATEWAY}/`), /^1 [^]*refused/);
    assert.match(await command('wget -O - https://origin.auklet:444/'), /^1 [^]*refused/);
    // Another name than that of the address. wget may write to its helper after that has ended: SIGPIPE.
    const other = 'echo $(nslookup origin.auklet | grep -o "198[.].*") other.example >> /etc/hosts';
    assert.match(await command(`${other}; wget -O - https://other.example/`), /^(1|141) [^]*(handshake|alert|reset)/i);
    // The guest trusts one authority more, and a new one each time.
    const authority = 'cat /usr/local/share/ca-certificates/auklet-interception.crt';
    const bundle = '/etc/ssl/certs/ca-certificates.crt';
    const counted = await command(`grep -c BEGIN ${bundle} /usr/share/ca-certificates/mozilla.crt`);
    const [all, mozilla] = counted.match(/(?<=:)\d+/g).map(Number);
    assert(mozilla > 100 && all === mozilla + 1, counted);
    const pem = await command(authority);
    assert.equal(await command(`tail -n ${pem.split('\n').length} ${bundle}`), pem);
    assert.match(new X509Certificate(pem.slice(2)).subject, /Auklet/);
    assert.equal(await boot({ type: 'fetch', plain: true, intercept: true }), 'started');
    assert.notEqual(await command(authority), pem);
  });

  await suite.test('wisp: by a relay, which dies and comes back', async (part) => {
    const content = randomBytes(8 << 20);
    const web = await listen(
      part,
      createHttpServer((_, response) => response.end(content)),
    );
    const echo = await listen(
      part,
      createServer({ allowHalfOpen: true }, (socket) => {
        const parts = [];
        socket.on('error', () => {});
        socket.on('data', (bytes) => parts.push(bytes));
        socket.on('end', () => socket.end(`got ${Buffer.concat(parts)}`));
      }),
    );
    const { relay, url } = await startRelay(part);
    assert.equal(await boot({ type: 'wisp', url }), 'started');
    const sum = createHash('sha256').update(content).digest('hex');
    assert.equal(await command(`wget -q -O - http://${GATEWAY}:${web}/ | sha256sum`), `0 ${sum}  -`);
    assert.equal(await command(`printf hello | nc ${GATEWAY} ${echo}`), '0 got hello');
    assert.match(await command(`wget -O - http://${GATEWAY}:1/`), /^1 [^]*refused/);
    assert.match(await command('wget -O - http://192.168.0.1/'), /^1 [^]*unreachable/);

    relay.kill('SIGKILL');
    await once(relay, 'close');
    assert.match(await command(`nc ${GATEWAY} ${echo} < /dev/null`), /^1/);
    const { pathname, port } = new URL(url);
    const again = spawn(process.execPath, [cli, 'relay', '--port', port, '--network-allow', 'host'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, AUKLET_RELAY_TOKEN: pathname.slice(1, -1) },
    });
    part.after(() => again.kill('SIGKILL'));
    await once(createInterface(again.stdout), 'line');
    assert.equal(await command(`until printf hello | nc ${GATEWAY} ${echo}; do sleep 0.1; done`), '0 got hello');
  });

  await page.evaluate(() => machine.dispose());
});
