/**
 * What must be known of a GGUF before it is loaded: architecture, context, size of its KV cache, control tokens.
 *
 * A bounded reader: every count and length is checked against the bytes that are there. Knows nothing of tensors or wllama.
 */

import { TeaError } from "./errors.js";

/** The part of a header that loading and prompting need. */
export interface GgufHeader {
  readonly architecture: string;
  readonly name: string;
  /** Tokens the model was trained for; 0 where the file doesn't say. */
  readonly contextLength: number;
  /** Bytes that one position takes in an f16 KV cache; 0 where the file doesn't say. */
  readonly kvBytesPerToken: number;
  /** Texts that the tokenizer reads as one control token (`<|im_end|>`, ...). */
  readonly controlTokens: readonly string[];
  readonly bosToken: string;
  readonly eosToken: string;
}

const FIRST_READ = 4 << 20;
const MAX_HEADER = 128 << 20;
const MAX_ENTRIES = 1 << 24;
const [UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
] as const;
const CONTROL = new Set([3, 4]); // llama.cpp's token types CONTROL and USER_DEFINED

type Value = number | string | boolean | readonly Value[];

/** Thrown inside: the header goes on behind the bytes that were read. */
class NeedMore extends Error {}

/** Read the header of a GGUF (of its first shard). Raises ModelLoadFailed where it is none. */
export async function readGgufHeader(file: Blob): Promise<GgufHeader> {
  for (let size = Math.min(FIRST_READ, file.size); ; size = Math.min(size * 4, file.size, MAX_HEADER)) {
    try {
      return parse(await file.slice(0, size).arrayBuffer());
    } catch (error) {
      if (!(error instanceof NeedMore)) throw error;
      if (size >= Math.min(file.size, MAX_HEADER)) throw invalid("it ends in the middle of its header");
    }
  }
}

function parse(buffer: ArrayBuffer): GgufHeader {
  const reader = new Reader(buffer);
  if (reader.u32() !== 0x46554747) throw invalid("it doesn't begin with GGUF");
  const version = reader.u32();
  if (version < 2 || version > 3) throw invalid(`it has version ${version}, and 2 and 3 are known`);
  reader.count(); // tensors
  const keys = reader.count();
  const values = new Map<string, Value>();
  for (let index = 0; index < keys; index++) values.set(reader.string(), reader.value(reader.u32()));
  return describe(values);
}

function describe(values: ReadonlyMap<string, Value>): GgufHeader {
  const text = (key: string): string => {
    const value = values.get(key);
    return typeof value === "string" ? value : "";
  };
  const number = (key: string, fallback = 0): number => {
    const value = values.get(key);
    if (Array.isArray(value)) return Math.max(0, ...value.filter((entry) => typeof entry === "number"));
    return typeof value === "number" ? value : fallback;
  };
  const list = (key: string): readonly Value[] => {
    const value = values.get(key);
    return Array.isArray(value) ? (value as readonly Value[]) : [];
  };
  const architecture = text("general.architecture");
  const key = (name: string): string => `${architecture}.${name}`;
  const heads = number(key("attention.head_count"), 1) || 1;
  const headSize = number(key("embedding_length")) / heads;
  const keyLength = number(key("attention.key_length"), headSize);
  const valueLength = number(key("attention.value_length"), headSize);
  const tokens = list("tokenizer.ggml.tokens");
  const types = list("tokenizer.ggml.token_type");
  const token = (id: string): string => {
    const found = tokens[number(id, -1)];
    return typeof found === "string" ? found : "";
  };
  return {
    architecture,
    name: text("general.name"),
    contextLength: number(key("context_length")),
    kvBytesPerToken:
      number(key("block_count")) * number(key("attention.head_count_kv"), heads) * (keyLength + valueLength) * 2,
    controlTokens: tokens.filter((entry, id): entry is string => typeof entry === "string" && CONTROL.has(types[id] as number)),
    bosToken: token("tokenizer.ggml.bos_token_id"),
    eosToken: token("tokenizer.ggml.eos_token_id"),
  };
}

class Reader {
  readonly #view: DataView;
  readonly #decoder = new TextDecoder();
  #at = 0;

  constructor(buffer: ArrayBuffer) {
    this.#view = new DataView(buffer);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  count(): number {
    const value = this.#view.getBigUint64(this.#take(8), true);
    if (value > BigInt(MAX_ENTRIES)) throw invalid(`it claims ${value.toString()} entries`);
    return Number(value);
  }

  string(): string {
    const length = Number(this.#view.getBigUint64(this.#take(8), true));
    if (length > MAX_HEADER) throw invalid(`it holds a text of ${length} bytes`);
    return this.#decoder.decode(new Uint8Array(this.#view.buffer, this.#take(length), length));
  }

  value(type: number, depth = 0): Value {
    switch (type) {
      case UINT8:
        return this.#view.getUint8(this.#take(1));
      case INT8:
        return this.#view.getInt8(this.#take(1));
      case UINT16:
        return this.#view.getUint16(this.#take(2), true);
      case INT16:
        return this.#view.getInt16(this.#take(2), true);
      case UINT32:
        return this.u32();
      case INT32:
        return this.#view.getInt32(this.#take(4), true);
      case FLOAT32:
        return this.#view.getFloat32(this.#take(4), true);
      case BOOL:
        return this.#view.getUint8(this.#take(1)) !== 0;
      case STRING:
        return this.string();
      case UINT64:
        return Number(this.#view.getBigUint64(this.#take(8), true));
      case INT64:
        return Number(this.#view.getBigInt64(this.#take(8), true));
      case FLOAT64:
        return this.#view.getFloat64(this.#take(8), true);
      case ARRAY: {
        if (depth > 2) throw invalid("its lists nest too deep");
        const inner = this.u32();
        const count = this.count();
        const entries: Value[] = [];
        for (let index = 0; index < count; index++) entries.push(this.value(inner, depth + 1));
        return entries;
      }
      default:
        throw invalid(`it holds a value of the unknown type ${type}`);
    }
  }

  #take(size: number): number {
    const at = this.#at;
    if (at + size > this.#view.byteLength) throw new NeedMore();
    this.#at = at + size;
    return at;
  }
}

function invalid(what: string): TeaError {
  return TeaError.of("ModelLoadFailed", `the file is no usable GGUF: ${what}`, "check the address and download it again", "model");
}
