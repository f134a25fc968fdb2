// SPDX-License-Identifier: Apache-2.0
// The JSON Schemas of the network configuration and of the result in it. They stand alone, because the build compiles
// them into code. Fields that are not named here are passed over: CNI 1.1.0, section 1, lets runtimes, other plugins of
// the list and versions to come add theirs. Go's runtimes write an empty list or dictionary as null now and then.

const dictionary = { type: ['object', 'null'] } as const;

/** The name of an executable, which no path may stand for. */
const pluginName = { type: 'string', pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$' } as const;

export const configurationSchema = {
  type: 'object',
  required: ['cniVersion', 'name', 'type'],
  properties: {
    cniVersion: { type: 'string', maxLength: 64 },
    name: { type: 'string', pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}$' },
    type: { type: 'string', minLength: 1, maxLength: 255 },
    // 107 bytes and a closing zero are all that sun_path of sockaddr_un holds, unix(7).
    socket: { type: 'string', pattern: '^/', minLength: 2, maxLength: 107 },
    delegates: {
      type: ['object', 'null'],
      additionalProperties: false,
      properties: { portMappings: pluginName, bandwidth: pluginName },
    },
    timeoutSeconds: { type: 'integer', minimum: 1, maximum: 600 },
    dns: dictionary,
    ipam: dictionary,
    // What a runtime adds: CNI 1.1.0, section 3, "Deriving request configuration from plugin configuration".
    prevResult: dictionary,
    runtimeConfig: dictionary,
    capabilities: dictionary,
    args: dictionary,
    'cni.dev/valid-attachments': {
      type: ['array', 'null'],
      maxItems: 10000,
      items: {
        type: 'object',
        required: ['containerID', 'ifname'],
        properties: {
          containerID: { type: 'string', minLength: 1, maxLength: 256 },
          ifname: { type: 'string', minLength: 1, maxLength: 256 },
        },
      },
    },
  },
} as const;

const list = (maxItems: number, items: object) => ({ type: ['array', 'null'], maxItems, items });
const text = { type: 'string', maxLength: 4096 } as const;

/** What ADD extends and CHECK compares with; other commands do not look at it. */
export const previousResultSchema = {
  type: 'object',
  properties: {
    interfaces: list(64, {
      type: 'object',
      required: ['name'],
      properties: { name: text, mac: text, sandbox: text },
    }),
    ips: list(64, {
      type: 'object',
      required: ['address'],
      properties: {
        address: { ...text, minLength: 1 },
        gateway: text,
        interface: { type: ['integer', 'null'], minimum: 0 },
      },
    }),
    routes: list(1024, { type: 'object', required: ['dst'], properties: { dst: { ...text, minLength: 1 }, gw: text } }),
    dns: dictionary,
  },
} as const;
