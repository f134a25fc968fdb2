// SPDX-License-Identifier: Apache-2.0
// JSON Schemas of the messages. They are data, so that the agent compiles them when it starts and fast-cni's build
// compiles them into code: parsing a schema costs more than the whole run of fast-cni.
import { agentCommands, protocolVersion } from './messages.ts';

const text = { type: 'string', maxLength: 4096 } as const;
const filled = { type: 'string', minLength: 1, maxLength: 4096 } as const;

const previousResult = {
  type: 'object',
  properties: {
    interfaces: {
      type: 'array',
      maxItems: 64,
      items: { type: 'object', required: ['name'], properties: { name: text, mac: text, sandbox: text } },
    },
    ips: {
      type: 'array',
      maxItems: 64,
      items: {
        type: 'object',
        required: ['address'],
        properties: { address: filled, gateway: text, interface: { type: 'integer' } },
      },
    },
    routes: {
      type: 'array',
      maxItems: 1024,
      items: { type: 'object', required: ['dst'], properties: { dst: filled, gw: text } },
    },
  },
} as const;

const validAttachments = {
  type: 'array',
  maxItems: 10000,
  items: { type: 'object', required: ['containerId', 'ifName'], properties: { containerId: filled, ifName: filled } },
} as const;

/** `then` where the command is one of `commands`. */
const forCommands = (commands: readonly string[], then: object): object => ({
  if: { required: ['command'], properties: { command: { enum: commands } } },
  then,
});

export const requestSchema = {
  type: 'object',
  required: ['protocol', 'command', 'containerId', 'netns', 'ifName', 'pod'],
  properties: {
    protocol: { const: protocolVersion },
    command: { enum: agentCommands },
    containerId: text,
    netns: text,
    ifName: text,
    pod: {
      type: 'object',
      required: ['namespace', 'name', 'uid'],
      properties: { namespace: text, name: text, uid: text },
    },
    deadlineMs: { type: 'integer', minimum: 1, maximum: 3_600_000 },
    hasBandwidthLimit: { type: 'boolean' },
    prevResult: previousResult,
    validAttachments,
    network: text,
  },
  allOf: [
    forCommands(['ADD', 'CHECK', 'DEL'], { properties: { containerId: filled, ifName: filled } }),
    forCommands(['ADD', 'CHECK'], { properties: { netns: { type: 'string', pattern: '^/' } } }),
    forCommands(['ADD'], { properties: { pod: { type: 'object', properties: { namespace: filled, name: filled } } } }),
    forCommands(['GC'], { type: 'object', required: ['validAttachments'] }),
  ],
} as const;

const attachment = {
  type: 'object',
  required: [
    'address',
    'prefixLength',
    'gateway',
    'hostInterface',
    'hostMac',
    'podInterface',
    'podMac',
    'mtu',
    'sandbox',
    'routes',
  ],
  properties: {
    address: filled,
    prefixLength: { type: 'integer', minimum: 0, maximum: 128 },
    gateway: filled,
    hostInterface: filled,
    hostMac: filled,
    podInterface: filled,
    podMac: filled,
    mtu: { type: 'integer', minimum: 68, maximum: 65535 },
    sandbox: filled,
    routes: {
      type: 'array',
      maxItems: 1024,
      items: { type: 'object', required: ['destination'], properties: { destination: filled, gateway: filled } },
    },
  },
} as const;

const success = { type: 'object', properties: { result: attachment } } as const;
const failure = {
  type: 'object',
  required: ['code', 'msg'],
  properties: { code: { type: 'integer', minimum: 1, maximum: 999 }, msg: filled, details: { type: 'string' } },
} as const;

export const responseSchema = {
  type: 'object',
  required: ['ok'],
  properties: { ok: { type: 'boolean' } },
  if: { required: ['ok'], properties: { ok: { const: true } } },
  then: success,
  else: failure,
} as const;
