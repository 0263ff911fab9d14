// SPDX-License-Identifier: MIT
// Machines of one page on a link, and machines of two tabs on a channel.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BROWSER, launchPages, servePage } from './browsers.mjs';

/** In the page: boots machines with these networks, and returns their addresses. */
async function start(networks) {
  const link = auklet.createLink();
  globalThis.machines = networks.map(
    (network) => new auklet.Machine({ cpus: 1, memory: 64, exec: true, network: { link, ...network } }),
  );
  await Promise.all(machines.map(({ started }) => started));
  return machines.map(({ network }) => network.address);
}

/** In the page: status and output of a command. */
async function run([index, line]) {
  const { status, stdout, stderr } = await machines[index].exec(['sh', '-c', line]);
  return `${status} ${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim();
}

/** Both ends of a transfer, each of which runs commands. */
async function transfer(from, to, address) {
  const until = 'until grep -q ":03E8 .* 0A " /proc/net/tcp /proc/net/tcp6; do :; done';
  assert.match(await from('head -c 8388608 /dev/urandom > /tmp/data'), /^0/);
  const received = to('nc -l -p 1000 < /dev/null | sha256sum');
  assert.match(await to(until), /^0/);
  assert.match(await from(`nc ${address} 1000 < /tmp/data`), /^0/);
  assert.equal(await received, await from('sha256sum < /tmp/data'));
}

test(`links in ${BROWSER}`, async (suite) => {
  const url = `${await servePage(suite)}?saving=0`;
  const { newPage } = await launchPages(suite);
  const open = async () => {
    const page = await newPage();
    await page.goto(url);
    await page.waitForFunction(() => globalThis.auklet?.current !== undefined);
    await page.evaluate(() => auklet.current.dispose());
    return page;
  };
  const page = await open();

  await suite.test('two machines in a page', async () => {
    const networks = [{ type: 'local', hostname: 'red' }, { type: 'local' }];
    assert.deepEqual(await page.evaluate(start, networks), ['10.0.2.15', '10.0.2.16']);
    const [one, two] = [0, 1].map((index) => (line) => page.evaluate(run, [index, line]));
    assert.match(await one('ping -c 2 10.0.2.16'), /2 packets received/);
    assert.match(await two('ping -c 1 red'), /1 packets received/);
    await transfer(one, two, '10.0.2.16');
    await transfer(two, one, 'red');
    await page.evaluate(() => machines[0].dispose());
    assert.match(await two('ping -c 1 -W 1 10.0.2.15'), /^1/);
    assert.match(await two('ping -c 1 10.0.2.2'), /1 packets received/);
    await page.evaluate(() => machines[1].dispose());
  });

  await suite.test('machines in two tabs', async () => {
    const other = await open();
    const networks = [{ type: 'local', link: 'channel:tabs' }];
    assert.deepEqual(await page.evaluate(start, networks), ['10.0.2.15']);
    assert.deepEqual(await other.evaluate(start, networks), ['10.0.2.16']);
    const [one, two] = [page, other].map((tab) => (line) => tab.evaluate(run, [0, line]));
    assert.match(await one('ping -c 2 10.0.2.16'), /2 packets received/);
    await transfer(one, two, '10.0.2.16');
    await transfer(two, one, '10.0.2.15');
    // A tab that goes away gives its address back.
    await other.close();
    const third = await open();
    assert.deepEqual(await third.evaluate(start, networks), ['10.0.2.16']);
    // Commands run when the card has its address.
    assert.match(await third.evaluate(run, [0, 'ip addr show eth0']), /10\.0\.2\.16/);
    assert.match(await one('ping -c 1 10.0.2.16'), /1 packets received/);
  });
});
