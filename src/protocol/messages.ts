// SPDX-License-Identifier: Apache-2.0
// What fast-cni and the agent say to each other. One connection carries one exchange over a unix socket: the client
// writes a request as JSON (UTF-8) and closes its half, the server answers with a response as JSON and closes. While it
// works the server may write blanks, by which it learns that the client is gone.
// Within one protocol version fields are only ever added, none of them needed; both sides ignore those that they do not
// know. So a fast-cni and an agent of different releases understand each other while their number is the same, and a
// new number comes with an agent that still serves the one before.

export const protocolVersion = 1;

/** The longest message of either side, in bytes. A GC with 1,000 pods on a node is about 100 KB. */
export const maxMessageBytes = 1024 * 1024;

export const agentCommands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'] as const;
export type AgentCommand = (typeof agentCommands)[number];

/** The pod as the container runtime names it in CNI_ARGS; each is '' where the runtime gave none. */
export interface PodIdentity {
  namespace: string;
  name: string;
  /** K8S_POD_UID: for a static pod the uid of its file, not that of its mirror in the API server. */
  uid: string;
}

/** One entry of `interfaces` in a CNI result. */
export interface ResultInterface {
  name: string;
  mac?: string;
  /** Path of the network namespace; '' or absent for the host's. */
  sandbox?: string;
}

/** The result of the former ADD as CHECK hands it back; CNI 1.1.0, section 5, "ADD Success". */
export interface PreviousResult {
  interfaces?: ResultInterface[];
  /** `address` with prefix length, `interface` an index into `interfaces`. */
  ips?: { address: string; gateway?: string; interface?: number }[];
  routes?: { dst: string; gw?: string }[];
}

/** What the runtime still holds, from `cni.dev/valid-attachments`; all else may go. */
export interface ValidAttachment {
  containerId: string;
  ifName: string;
}

export interface AgentRequest {
  protocol: typeof protocolVersion;
  command: AgentCommand;
  /** '' for STATUS and GC, as are `netns`, `ifName` and the pod's fields. */
  containerId: string;
  /** Absolute path of the sandbox's network namespace; may be '' for DEL, when it is gone already. */
  netns: string;
  /** The interface's name inside the pod, `eth0` from every runtime known. */
  ifName: string;
  pod: PodIdentity;
  /** How long fast-cni waits for the answer, less a margin: by then the agent gives the reason of its wait. */
  deadlineMs?: number;
  /** ADD only: a plugin behind fast-cni will put queues on the host veth, which all of the pod's traffic has to pass. */
  hasBandwidthLimit?: boolean;
  /** CHECK only. */
  prevResult?: PreviousResult;
  /** GC only. */
  validAttachments?: ValidAttachment[];
  /** GC only: the name of the network whose attachments those are. A runtime tells nothing of another network's. */
  network?: string;
}

/** A route in the pod's namespace. */
export interface AttachmentRoute {
  /** IPv4 with prefix length: `0.0.0.0/0` is the default route. */
  destination: string;
  /** Absent: the destination is on the link (scope link). */
  gateway?: string;
}

/** A pod's wire as it stands after ADD. Addresses are dotted, MACs six lower-case pairs joined by colons. */
export interface Attachment {
  address: string;
  prefixLength: number;
  gateway: string;
  hostInterface: string;
  hostMac: string;
  podInterface: string;
  podMac: string;
  /** Bytes of an IP packet, of both ends. */
  mtu: number;
  /** The request's `netns`. */
  sandbox: string;
  /** In the order of their creation: the gateway on the link first, then the default route by it. */
  routes: AttachmentRoute[];
}

/** `result` answers ADD and is absent otherwise. */
export interface AgentSuccess {
  ok: true;
  result?: Attachment;
}

/** `code` is of error-codes.ts; `msg` one sentence with its cure; `details` what only a person needs who searches on. */
export interface AgentFailure {
  ok: false;
  code: number;
  msg: string;
  details?: string;
}

export type AgentResponse = AgentSuccess | AgentFailure;
