// SPDX-License-Identifier: MIT
// Flushes before the guest asks for them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { source } from './source.mjs';

const { EarlyFlush } = await source('storage/early-flush.ts');

/** A disk that logs its flushes, and fails those that it is told to. */
function disk() {
  const log = [];
  const state = { failing: false, log };
  state.early = new EarlyFlush(() => {
    log.push('flush');
    if (state.failing) throw new Error('the medium is broken');
  });
  /** A write that nothing follows at once. */
  state.write = (length = 4096) => {
    state.early.changes(length);
    log.push('write');
    state.early.pause();
  };
  /** The guest's flush. */
  state.sync = () => {
    log.push('asked');
    state.early.flush();
  };
  return state;
}

/** The log of `act`, in one line. */
const logOf = ({ log }, act) => {
  log.length = 0;
  act();
  return log.join(' ');
};

test('a guest that syncs each write finds it flushed', () => {
  const one = disk();
  const both = () => {
    one.write();
    one.sync();
  };
  assert.equal(logOf(one, both), 'write asked flush', 'nothing is known');
  for (let round = 0; round < 8; ++round) both();
  assert.equal(logOf(one, both), 'write flush asked');
});

test('a habit may be longer', () => {
  // A journal: data, its blocks, a flush, its last block, a flush.
  const one = disk();
  const append = () => {
    one.write();
    one.write();
    one.sync();
    one.write();
    one.sync();
  };
  for (let round = 0; round < 20; ++round) append();
  assert.equal(logOf(one, append), 'write write flush asked write flush asked');
});

test('what is written after an early flush is flushed', () => {
  const one = disk();
  for (let round = 0; round < 8; ++round) {
    one.write();
    one.sync();
  }
  const log = logOf(one, () => {
    one.write();
    one.early.changes(4096);
    one.sync();
  });
  assert.equal(log, 'write flush asked flush');
  assert.equal(
    logOf(one, () => one.sync()),
    'asked flush',
  );
});

test('who does not sync, or reads between, gets no early flush', () => {
  for (const between of [() => {}, (early) => early.reads()]) {
    const one = disk();
    const log = logOf(one, () => {
      for (let round = 0; round < 50; ++round) {
        one.write();
        between(one.early);
      }
    });
    assert(!log.includes('flush'));
  }
});

test('a lot of bytes is not flushed early', () => {
  const one = disk();
  const both = (length) => {
    one.write(length);
    one.sync();
  };
  for (let round = 0; round < 8; ++round) both();
  assert.equal(
    logOf(one, () => both((256 << 10) + 1)),
    'write asked flush',
  );
  assert.equal(
    logOf(one, () => both(256 << 10)),
    'write flush asked',
  );
});

test('an early flush that fails fails the flush, though a second one would not', () => {
  const one = disk();
  for (let round = 0; round < 8; ++round) {
    one.write();
    one.sync();
  }
  one.failing = true;
  one.write();
  one.failing = false;
  one.write();
  assert.throws(() => one.sync(), /the medium is broken/);
  assert.equal(
    logOf(one, () => one.sync()),
    'asked flush',
  );
});
