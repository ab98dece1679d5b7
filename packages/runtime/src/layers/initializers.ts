import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { RuntimeError } from '../errors.js';

/** The object that fills a new weight. */
export type Initializer = ReturnType<typeof tfl.initializers.zeros>;

const byName = {
  zeros: () => tfl.initializers.zeros(),
  ones: () => tfl.initializers.ones(),
  glorotUniform: () => tfl.initializers.glorotUniform({}),
  glorotNormal: () => tfl.initializers.glorotNormal({}),
  heUniform: () => tfl.initializers.heUniform({}),
  heNormal: () => tfl.initializers.heNormal({}),
  leCunNormal: () => tfl.initializers.leCunNormal({}),
  leCunUniform: () => tfl.initializers.leCunUniform({}),
} satisfies Record<string, () => Initializer>;

/** Name of a parameterless initialiser. */
export type InitializerName = keyof typeof byName;

/** What a layer accepts as an initialiser: a name, an object of `tfl.initializers`, or its serialised form. */
export type InitializerLike = InitializerName | Initializer | tf.serialization.ConfigDict;

/** Turns a name or a serialised form into an initialiser; throws RuntimeError `unknown-initializer`. */
export function resolveInitializer(value: InitializerLike): Initializer {
  if (typeof value === 'string') {
    const create = byName[value];
    if (create != null) return create();
  } else if (typeof (value as Initializer).apply === 'function') {
    return value as Initializer;
  } else {
    const { className, config } = value as { className: string; config: tf.serialization.ConfigDict };
    const entry = tf.serialization.SerializationMap.getMap().classNameMap[className];
    if (entry != null) {
      const [create, fromConfig] = entry;
      return fromConfig(create, config) as unknown as Initializer;
    }
  }
  throw new RuntimeError(
    'unknown-initializer',
    `Expected an initialiser object or one of ${Object.keys(byName).join(', ')}, got ${JSON.stringify(value)}. ` +
      'Create others with tfl.initializers.',
    { value },
  );
}

/** The serialised form that `resolveInitializer` reads back. */
export function serializeInitializer(initializer: Initializer): tf.serialization.ConfigDict {
  return { className: initializer.getClassName(), config: initializer.getConfig() };
}
