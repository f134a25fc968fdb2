// SPDX-License-Identifier: Apache-2.0
// The JSON Schema of the network configuration. It stands alone, because the build compiles it into code.

export const configurationSchema = {
  type: 'object',
  required: ['cniVersion', 'name', 'type'],
  properties: {
    cniVersion: { type: 'string', maxLength: 64 },
    name: { type: 'string', pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,255}$' },
    type: { type: 'string', minLength: 1, maxLength: 255 },
    // 107 bytes and a closing zero are all that sun_path of sockaddr_un holds, unix(7).
    socket: { type: 'string', pattern: '^/', minLength: 2, maxLength: 107 },
    timeoutSeconds: { type: 'integer', minimum: 1, maximum: 600 },
    // What a runtime adds: CNI 1.1.0, section 3, "Deriving request configuration from plugin configuration".
    prevResult: { type: 'object' },
    runtimeConfig: { type: 'object' },
    capabilities: { type: 'object' },
    args: { type: 'object' },
    'cni.dev/valid-attachments': {
      type: 'array',
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
  // The specification reserves this prefix for fields to come.
  patternProperties: { '^cni\\.dev/': true },
  additionalProperties: false,
} as const;
