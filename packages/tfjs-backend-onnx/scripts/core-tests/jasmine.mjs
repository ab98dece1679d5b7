// The part of jasmine's interface that tfjs-core's own tests use; the package itself is not among our dependencies.
import { isDeepStrictEqual } from 'node:util';

const root = { name: '', parent: null, before: [], after: [], first: [], last: [], children: [] };
let current = root;
let failures = [];
let spies = [];

class Matcher {
  constructor(actual) {
    this.actual = actual;
  }
}

const isAsymmetric = (value) =>
  value !== null && typeof value === 'object' && typeof value.asymmetricMatch === 'function';

/** Deep equality that lets asymmetric matchers speak for themselves. */
function equals(actual, expected) {
  if (isAsymmetric(expected)) return expected.asymmetricMatch(actual);
  if (
    Array.isArray(actual) &&
    Array.isArray(expected) &&
    expected.some((x) => typeof x === 'object' && x !== null)
  ) {
    return actual.length === expected.length && actual.every((x, i) => equals(x, expected[i]));
  }
  return isDeepStrictEqual(actual, expected);
}

function thrownBy(run) {
  try {
    run();
  } catch (error) {
    return { error };
  }
  return null;
}

function messageMatches(error, ...args) {
  const [type, message] = typeof args[0] === 'function' ? args : [null, args[0]];
  if (type && !(error instanceof type)) return false;
  if (message === undefined) return error instanceof Error;
  return message instanceof RegExp ? message.test(error.message) : error.message === message;
}

const matchers = {
  toBe: (a, b) => Object.is(a, b) || a === b,
  toEqual: equals,
  toBeNull: (a) => a === null,
  toBeUndefined: (a) => a === undefined,
  toBeDefined: (a) => a !== undefined,
  toBeTruthy: (a) => Boolean(a),
  toBeFalsy: (a) => !a,
  toBeTrue: (a) => a === true,
  toBeFalse: (a) => a === false,
  toBeNaN: (a) => Number.isNaN(a),
  toBeGreaterThan: (a, b) => a > b,
  toBeGreaterThanOrEqual: (a, b) => a >= b,
  toBeLessThan: (a, b) => a < b,
  toBeLessThanOrEqual: (a, b) => a <= b,
  toBeCloseTo: (a, b, digits = 2) => Math.abs(a - b) < 10 ** -digits / 2,
  toContain: (a, b) => (typeof a === 'string' ? a.includes(b) : [...a].some((x) => equals(x, b))),
  toMatch: (a, b) => (b instanceof RegExp ? b.test(a) : a.includes(b)),
  toBeInstanceOf: (a, b) => a instanceof b,
  toThrow: (a, ...b) => {
    const thrown = thrownBy(a);
    return thrown !== null && (b.length === 0 || equals(thrown.error, b[0]));
  },
  toThrowError: (a, ...b) => {
    const thrown = thrownBy(a);
    return thrown !== null && messageMatches(thrown.error, ...b);
  },
  toHaveBeenCalled: (a) => a.calls.count() > 0,
  toHaveBeenCalledTimes: (a, n) => a.calls.count() === n,
  toHaveBeenCalledWith: (a, ...args) => a.calls.all().some((call) => equals(call.args, args)),
  nothing: () => true,
};

function report(passed, negated, name, actual, args, context) {
  if (passed !== negated) return;
  const show = (value) => {
    try {
      return typeof value === 'function' ? 'function' : JSON.stringify(value)?.slice(0, 200);
    } catch {
      return String(value);
    }
  };
  const detail = name.startsWith('toThrow') ? String(thrownBy(actual)?.error) : show(actual);
  failures.push(
    new Error(
      `${context ?? ''} expected ${detail} ${negated ? 'not ' : ''}${name} ${args.map(show).join(', ')}`,
    ),
  );
}

function expectation(actual, negated, context) {
  const target = new Matcher(actual);
  for (const [name, test] of Object.entries(matchers)) {
    target[name] = (...args) => report(test(actual, ...args), negated, name, actual, args, context);
  }
  return target;
}

function expect(actual) {
  const positive = expectation(actual, false);
  positive.not = expectation(actual, true);
  positive.withContext = (context) => {
    const named = expectation(actual, false, context);
    named.not = expectation(actual, true, context);
    return named;
  };
  return positive;
}

function expectAsync(promise) {
  const settle = async () => {
    try {
      return { value: await promise };
    } catch (error) {
      return { error };
    }
  };
  return {
    async toBeRejected() {
      report('error' in (await settle()), false, 'toBeRejected', null, []);
    },
    async toBeRejectedWithError(...args) {
      const result = await settle();
      report(
        'error' in result && messageMatches(result.error, ...args),
        false,
        'toBeRejectedWithError',
        String(result.error),
        args,
      );
    },
    async toBeResolvedTo(value) {
      const result = await settle();
      report('value' in result && equals(result.value, value), false, 'toBeResolvedTo', result.value, [
        value,
      ]);
    },
    async toBeResolved() {
      report('value' in (await settle()), false, 'toBeResolved', null, []);
    },
  };
}

function createSpy(_name, original) {
  const calls = [];
  let behaviour = () => undefined;
  const spy = function (...args) {
    calls.push({ object: this, args });
    return behaviour.apply(this, args);
  };
  const set = (next) => {
    behaviour = next;
    return spy;
  };
  spy.and = {
    returnValue: (value) => set(() => value),
    returnValues: (...values) => set(() => values.shift()),
    callFake: (fake) => set(fake),
    callThrough: () => set(original),
    throwError: (error) =>
      set(() => {
        throw typeof error === 'string' ? new Error(error) : error;
      }),
  };
  spy.calls = {
    count: () => calls.length,
    all: () => calls,
    allArgs: () => calls.map((call) => call.args),
    argsFor: (index) => calls[index].args,
    first: () => calls[0],
    mostRecent: () => calls[calls.length - 1],
    reset: () => (calls.length = 0),
  };
  return spy;
}

function spyOn(object, name) {
  const own = Object.getOwnPropertyDescriptor(object, name);
  const spy = createSpy(name, object[name]);
  Object.defineProperty(object, name, { value: spy, configurable: true, writable: true });
  spies.push(() => (own ? Object.defineProperty(object, name, own) : delete object[name]));
  return spy;
}

class Pending extends Error {}

const suite = (name, define) => {
  const parent = current;
  current = { name, parent, before: [], after: [], first: [], last: [], children: [] };
  parent.children.push(current);
  define();
  current = parent;
};
const spec = (name, run) => current.children.push({ name, run });

Object.assign(globalThis, {
  describe: suite,
  fdescribe: suite,
  xdescribe: () => {},
  it: spec,
  fit: spec,
  xit: () => {},
  beforeEach: (run) => current.before.push(run),
  afterEach: (run) => current.after.push(run),
  beforeAll: (run) => current.first.push(run),
  afterAll: (run) => current.last.push(run),
  expect,
  expectAsync,
  spyOn,
  fail: (reason) => failures.push(reason instanceof Error ? reason : new Error(String(reason ?? 'fail()'))),
  pending: () => {
    throw new Pending();
  },
  jasmine: {
    DEFAULT_TIMEOUT_INTERVAL: 20_000,
    createSpy,
    getEnv: () => ({ configuration: () => ({}), configure() {} }),
    arrayWithExactContents: (expected) => ({
      asymmetricMatch: (actual) =>
        actual.length === expected.length && expected.every((x) => actual.some((y) => equals(y, x))),
    }),
    objectContaining: (expected) => ({
      asymmetricMatch: (actual) =>
        Object.entries(expected).every(([key, value]) => equals(actual[key], value)),
    }),
    any: (type) => ({ asymmetricMatch: (actual) => actual != null && Object(actual) instanceof type }),
  },
});

/** Runs a test or hook, which may return a promise or take a `done` callback. */
function call(run) {
  return run.length === 0
    ? run()
    : new Promise((resolve, reject) => {
        const done = () => resolve();
        done.fail = (message) => reject(new Error(String(message)));
        run(done);
      });
}

function withTimeout(work) {
  if (!(work instanceof Promise)) return work;
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), globalThis.jasmine.DEFAULT_TIMEOUT_INTERVAL);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/**
 * Runs every collected test. `isExcluded(fullName)` skips; `onResult` gets { name, status, errors }, status 'passed',
 * 'failed', 'pending' or 'excluded'.
 */
export async function runCollected({ isExcluded, onResult }) {
  const chain = (node) => (node ? [...chain(node.parent), node] : []);
  const visit = async (node, prefix) => {
    const broken = [];
    const outerSpies = spies;
    spies = [];
    const hooks = async (list) => {
      for (const hook of list) await withTimeout(call(hook));
    };
    try {
      await hooks(node.first);
    } catch (error) {
      broken.push(error);
    }
    const suiteSpies = spies;
    spies = [];
    const restoreAll = (list) => {
      for (const restore of [...list].reverse()) restore();
    };
    for (const child of node.children) {
      const name = `${prefix} ${child.name}`.trim();
      if (child.children) {
        await visit(child, name);
        continue;
      }
      if (isExcluded(name)) {
        onResult({ name, status: 'excluded', errors: [] });
        continue;
      }
      failures = [...broken];
      let isPending = false;
      const suites = chain(node);
      try {
        for (const one of suites) await hooks(one.before);
        await withTimeout(call(child.run));
      } catch (error) {
        if (error instanceof Pending) isPending = true;
        else failures.push(error);
      }
      try {
        for (const one of [...suites].reverse()) await hooks(one.after);
      } catch (error) {
        failures.push(error);
      }
      restoreAll(spies);
      spies = [];
      onResult({
        name,
        status: isPending ? 'pending' : failures.length ? 'failed' : 'passed',
        errors: failures,
      });
    }
    try {
      await hooks(node.last);
    } catch (error) {
      onResult({ name: `${prefix} (afterAll)`, status: 'failed', errors: [error] });
    }
    restoreAll(suiteSpies);
    spies = outerSpies;
  };
  await visit(root, '');
}
