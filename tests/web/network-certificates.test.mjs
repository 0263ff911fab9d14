// SPDX-License-Identifier: MIT
// Certificates of an authority that is one machine's own, as OpenSSL reads them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { source } from './source.mjs';

const { Certificates, LONGEST_NAME, makeAuthority, makeCertificate, makeServerKey, toPem } =
  await source('network/certificate.ts');
const der = await source('network/der.ts');
const hex = (bytes) => Buffer.from(bytes).toString('hex');

test('values of DER', () => {
  assert.equal(hex(der.integer(Uint8Array.of(0, 0))), '020100');
  assert.equal(hex(der.integer(new Uint8Array(0))), '020100');
  assert.equal(hex(der.integer(Uint8Array.of(0, 0x7f))), '02017f');
  assert.equal(hex(der.integer(Uint8Array.of(0, 0x80, 1))), '0203008001');
  assert.equal(hex(der.identifier('1.2.840.10045.2.1')), '06072a8648ce3d0201');
  assert.equal(hex(der.bits(Uint8Array.of(0x80), 7)), '03020780');
  assert.equal(hex(der.sequence(der.boolean(true), der.boolean(false))), '30060101ff010100');
  assert.equal(hex(der.set()), '3100');
  // Lengths of one, two and three bytes.
  for (const [length, head] of [
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_536, '0483010000'],
  ])
    assert.equal(hex(der.octets(new Uint8Array(length))).slice(0, head.length), head);
  const time = (date) => Buffer.from(der.time(new Date(date))).toString('latin1');
  assert.equal(time('2026-11-29T12:34:56.789Z'), '\x17\x0d261129123456Z');
  assert.equal(time('2049-12-31T23:59:59Z'), '\x17\x0d491231235959Z');
  assert.equal(time('2050-01-01T00:00:00Z'), '\x18\x0f20500101000000Z');
  assert.equal(time('1949-01-01T00:00:00Z'), '\x18\x0f19490101000000Z');
});

test('an authority and a certificate', async () => {
  const now = new Date('2026-11-29T12:00:00Z');
  const authority = await makeAuthority(now);
  assert.equal(authority.key.extractable, false);
  const own = new X509Certificate(toPem(authority.certificate));
  assert(own.ca);
  assert(own.verify(own.publicKey));
  assert(own.checkIssued(own));
  assert.equal(own.subject, 'CN=Auklet: this machine only');
  assert.equal(new Date(own.validFrom).getTime(), now.getTime() - 86_400_000);
  assert.equal(new Date(own.validTo).getTime(), now.getTime() + 730 * 86_400_000);

  const key = await makeServerKey();
  assert.equal(key.secret.length, 32);
  const certificate = new X509Certificate(await makeCertificate(authority, key, 'www.example.org'));
  assert(!certificate.ca);
  assert(certificate.verify(own.publicKey));
  assert(certificate.checkIssued(own));
  assert.equal(certificate.checkHost('www.example.org'), 'www.example.org');
  assert.equal(certificate.checkHost('example.org'), undefined);
  assert.equal(certificate.subjectAltName, 'DNS:www.example.org');
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  const other = await makeAuthority(now);
  assert(!certificate.verify(new X509Certificate(other.certificate).publicKey));

  // The number is the private key of this public one.
  const { x, y } = createPublicKey({ key: Buffer.from(key.info), format: 'der', type: 'spki' }).export({
    format: 'jwk',
  });
  const d = Buffer.from(key.secret).toString('base64url');
  const secret = createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d }, format: 'jwk' });
  assert(certificate.checkPrivateKey(secret));
});

test('OpenSSL accepts the chain, strictly', async (suite) => {
  const folder = mkdtempSync(join(tmpdir(), 'auklet-certificates-'));
  suite.after(() => rmSync(folder, { recursive: true }));
  const path = (name) => join(folder, name);
  const authority = await makeAuthority();
  const key = await makeServerKey();
  writeFileSync(path('ca.pem'), toPem(authority.certificate));
  const long = `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(61)}`;
  assert.equal(long.length, LONGEST_NAME);
  for (const name of ['a.example', 'with_underscore.example', long]) {
    const certificate = await makeCertificate(authority, key, name);
    // That is what the module of TLS has room for.
    assert(certificate.length <= 1024, `${certificate.length}`);
    writeFileSync(path('leaf.pem'), toPem(certificate));
    const words = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', name];
    const output = execFileSync('openssl', [...words, '-CAfile', path('ca.pem'), path('leaf.pem')], {
      encoding: 'utf8',
    });
    assert.match(output, /leaf\.pem: OK/);
  }
});

test('many names: each certificate once, and not all are kept', async () => {
  const certificates = new Certificates(await makeAuthority(), await makeServerKey());
  const [first, again] = await Promise.all([certificates.of('a.example'), certificates.of('a.example')]);
  assert.equal(first, again);
  const serials = new Set();
  for (let number = 0; number < 1030; ++number) {
    const { serialNumber } = new X509Certificate(await certificates.of(`${number}.example`));
    serials.add(serialNumber);
    // This one is in use all the time.
    assert.equal(await certificates.of('a.example'), first);
  }
  assert.equal(serials.size, 1030);
  assert.equal(certificates.size, 1024);
  assert.equal(new X509Certificate(await certificates.of('0.example')).subjectAltName, 'DNS:0.example');
});
