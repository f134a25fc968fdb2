// SPDX-License-Identifier: Apache-2.0
// Each command of the runtime and who answers it.
import { cniNetwork } from '../api/names.ts';
import type { Log } from '../kube/log.ts';
import { errorCode } from '../protocol/error-codes.ts';
import type { AgentRequest, AgentResponse } from '../protocol/messages.ts';
import type { Attachments } from './attachments.ts';

/** Why no pod could be wired now. */
export interface Unavailable {
  readonly because: string;
  /** Whether pods that run may have limited connectivity too. */
  readonly isLimited: boolean;
}

export interface RequestsOptions {
  readonly attachments: Pick<Attachments, 'add' | 'del' | 'check' | 'gc'>;
  readonly unavailable: () => Unavailable | undefined;
  readonly log: Log;
}

export class Requests {
  readonly #o: RequestsOptions;

  constructor(options: RequestsOptions) {
    this.#o = options;
  }

  /** `gone` aborts when the caller has hung up. */
  async handle(request: AgentRequest, gone: AbortSignal): Promise<AgentResponse> {
    const { attachments } = this.#o;
    switch (request.command) {
      case 'ADD':
        return await attachments.add(request, gone);
      case 'DEL':
        return await attachments.del(request);
      case 'CHECK':
        return await attachments.check(request);
      case 'GC':
        return await this.#collect(request);
      case 'STATUS':
        return this.#status();
    }
  }

  /** By the list of another network all pods of this one would be garbage. */
  async #collect({ validAttachments = [], network = cniNetwork }: AgentRequest): Promise<AgentResponse> {
    if (network !== cniNetwork) {
      this.#o.log.info({ network }, 'the runtime collects the garbage of another network; nothing of it is known here');
      return { ok: true };
    }
    const valid = validAttachments.map((one) => ({ containerId: one.containerId, podInterface: one.ifName }));
    return await this.#o.attachments.gc(valid);
  }

  /** An ADD whose caller did not take the answer has no owner: it is as if it had not been. */
  async undelivered(request: AgentRequest, response: AgentResponse): Promise<void> {
    if (request.command !== 'ADD' || !response.ok) return;
    const { containerId, pod } = request;
    this.#o.log.warn({ containerId, pod }, 'the runtime did not take the answer to ADD; it is undone');
    await this.#o.attachments.del(request);
  }

  #status(): AgentResponse {
    const problem = this.#o.unavailable();
    if (problem === undefined) return { ok: true };
    const code = problem.isLimited ? errorCode.notAvailableLimited : errorCode.notAvailable;
    return { ok: false, code, msg: `no pod can be wired on this node: ${problem.because}` };
  }
}
