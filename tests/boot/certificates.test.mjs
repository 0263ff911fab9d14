// SPDX-License-Identifier: MIT
// Whom programs of the guest trust: Mozilla's certificates, and what is added to them.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, get } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from './authority.mjs';
import { build } from './machines.mjs';

const { startMachine } = await import(join(build, 'cli/machine.mjs'));
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const OWN = '/usr/local/share/ca-certificates';
const MOZILLA = '/usr/share/ca-certificates/mozilla';

const certificatesOf = (text) =>
  (text.match(/-----BEGIN CERTIFICATE-----\n[^-]*-----END CERTIFICATE-----\n/g) ?? []).map(
    (each) => new X509Certificate(each),
  );
const fingerprints = (text) => certificatesOf(text).map(({ fingerprint256 }) => fingerprint256);

/** Whether a client that trusts these certificates trusts the server. */
const isTrusted = (port, ca) =>
  new Promise((resolve) => {
    const request = get({ host: 'localhost', port, ca, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(true));
    });
    request.on('error', () => resolve(false));
  });

test('certificates', async (suite) => {
  const machine = await startMachine({ exec: true, memory: 256 });
  suite.after(() => machine.dispose());
  await machine.started;
  const result = async (line, options) => {
    const { status, stdout, stderr } = await machine.exec(['sh', '-c', line], options);
    return { status, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  };
  const run = async (line, options) => {
    const { status, stdout, stderr } = await result(line, options);
    assert.equal(status, 0, `${line}: ${stdout}${stderr}`);
    return stdout;
  };
  const bundle = () => run(`cat ${BUNDLE}`);
  const mozilla = await bundle();

  await suite.test("are Mozilla's, all of them", async () => {
    const files = readdirSync(MOZILLA).map((name) => readFileSync(join(MOZILLA, name), 'utf8'));
    assert(files.length > 100);
    assert.deepEqual(fingerprints(mozilla).sort(), files.flatMap(fingerprints).sort());
    assert.equal(fingerprints(mozilla).length, files.length);
  });

  await suite.test('and those that are added', async (part) => {
    const { key, cert } = makeAuthority();
    const server = createServer({ key, cert }, (_, response) => response.end('hi'));
    server.listen(0, 'localhost');
    await once(server, 'listening');
    part.after(() => server.close());
    const { port } = server.address();
    assert.equal(await isTrusted(port, mozilla), false);

    // Comments, the other kind of line ends, no last newline, a name with spaces.
    const odd = `a comment\r\n${cert.trim().replaceAll('\n', '\r\n')}`;
    await run(`mkdir ${OWN}/mine; cat > "${OWN}/mine/our own.crt"`, { stdin: odd });
    assert.equal(await run('update-ca-certificates'), '');
    const added = await bundle();
    assert.deepEqual(fingerprints(added), [...fingerprints(mozilla), new X509Certificate(cert).fingerprint256]);
    assert.equal(await isTrusted(port, added), true);
    assert.equal(await run(`stat -c '%a %U' ${BUNDLE}; ls -A /etc/ssl/certs`), '644 root\nca-certificates.crt\n');
    // Once more changes nothing.
    await run('update-ca-certificates --fresh --verbose');
    assert.equal(await bundle(), added);

    // What is none is said, and the others are there.
    await run(`echo nonsense > ${OWN}/a.crt; echo ignored > ${OWN}/b.txt`);
    const { status, stderr } = await result('update-ca-certificates');
    assert.deepEqual([status, stderr], [1, `update-ca-certificates: ${OWN}/a.crt has no certificate (PEM)\n`]);
    assert.equal(await bundle(), added);

    await run(`rm -r ${OWN}/*; update-ca-certificates`);
    assert.equal(await bundle(), mozilla);
    assert.match(await run(`ls -l ${BUNDLE}`), /-> \/usr\/share\/ca-certificates\/mozilla\.crt$/m);
    assert.equal((await result('update-ca-certificates --help')).status, 2);
  });
});

test("the owner's, which the page makes for interception, is there from the first command on", async (suite) => {
  const { cert } = makeAuthority();
  const path = `${OWN}/auklet-interception.crt`;
  const machine = await startMachine({ exec: true, memory: 256, files: [{ path, content: cert }] });
  suite.after(() => machine.dispose());
  const { stdout } = await machine.exec(['cat', BUNDLE]);
  const all = fingerprints(new TextDecoder().decode(stdout));
  assert(all.length > 100);
  assert.equal(all.at(-1), new X509Certificate(cert).fingerprint256);
});
