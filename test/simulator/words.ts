// SPDX-License-Identifier: Apache-2.0
// What happens, in words for the trace.
import type { Log } from '../../src/kube/log.ts';

export function nameOfCaller(caller: { is: string; name?: string; node?: string }): string {
  return caller.name ?? (caller.node === undefined ? caller.is : `agent of ${caller.node}`);
}

type Written = { metadata: { name?: string; namespace?: string }; spec?: unknown; status?: unknown };

/** A write in few words; records with the whole of what is decided by. */
export function wordsOfWrite(
  plural: string,
  caller: string,
  old: Written | undefined,
  now: Written | undefined,
): string {
  const { metadata } = (now ?? old) as Written;
  const what = old === undefined ? 'creates' : now === undefined ? 'deletes' : 'writes';
  const name = `${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name ?? ''}`;
  return `${caller} ${what} ${plural} ${name}${detailsOf(plural, (now ?? old) as Written)}`;
}

function detailsOf(plural: string, object: Written): string {
  if (plural === 'ipallocations') {
    const { spec, status } = object as {
      spec: { state: string; owner: { name: string; uid: string }; nodeName: string };
    } & {
      status?: { attached?: { owner: { uid: string } }; released?: { owner: { uid: string } } };
    };
    const attached = status?.attached === undefined ? '' : `, attached ${status.attached.owner.uid}`;
    const released = status?.released === undefined ? '' : `, released ${status.released.owner.uid}`;
    return `: ${spec.state} of ${spec.owner.name} (${spec.owner.uid}) on ${spec.nodeName}${attached}${released}`;
  }
  if (plural === 'nodeendpoints') {
    const { podAddresses = [], overlayAddress = 'none' } = object.spec as {
      podAddresses?: string[];
      overlayAddress?: string;
    };
    const datapath = conditionOf(object, 'DatapathReady');
    return `: overlay ${overlayAddress}, pods ${podAddresses.join(' ')}, datapath ${datapath}`;
  }
  if (plural === 'nodes') return `: Ready ${conditionOf(object, 'Ready')}`;
  if (plural === 'pods') {
    const { nodeName } = object.spec as { nodeName?: string };
    const { phase, podIP } = (object.status ?? {}) as { phase?: string; podIP?: string };
    const { uid, deletionTimestamp } = object.metadata as { uid?: string; deletionTimestamp?: string };
    return ` (${uid}) on ${nodeName}: ${phase ?? 'new'} ${podIP ?? ''}${deletionTimestamp === undefined ? '' : ' terminating'}`;
  }
  return '';
}

function conditionOf({ status }: Written, type: string): string {
  const { conditions = [] } = (status ?? {}) as { conditions?: ReadonlyArray<{ type: string; status: string }> };
  return conditions.find((each) => each.type === type)?.status ?? 'unsaid';
}

/** What the language throws of itself: the code is at fault, or a model lacks what the code calls. */
export function faultLog(log: Log, onFault: (error: TypeError) => void): Log {
  return {
    ...log,
    error: (fields, message) => {
      const { err } = fields as { err?: unknown };
      if (err instanceof TypeError) onFault(err);
      log.error(fields, message);
    },
    child: (fields) => faultLog(log.child(fields), onFault),
  };
}

/** The processes' own logs: for whoever reads along, and no part of what two runs are compared by. */
export function printedLog(print: (line: string) => void, fields: object): Log {
  const say =
    (level: string) =>
    (more: object, message: string): void => {
      const { err, ...rest } = { ...fields, ...more } as { err?: unknown };
      const because = err instanceof Error ? err.message : '';
      print(`            ${level}: ${message} ${JSON.stringify(rest).slice(0, 300)} ${because}`);
    };
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    child: (more) => printedLog(print, { ...fields, ...more }),
  };
}
