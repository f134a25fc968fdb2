// SPDX-License-Identifier: Apache-2.0
// The rules that kube-proxy in nftables mode keeps on a node, for as many Services as a small cluster has: the same on
// every node here, whoever's pods it carries. They make conntrack see whatever passes the stack.

const services = 100;

const address = (i: number): string => `10.96.${Math.floor(i / 250)}.${(i % 250) + 1}`;
const indexes = Array.from({ length: services }, (_, i) => i);

/** A script for `nft -f`. No Service's address is one that the benchmark sends to. */
export function kubeProxyScript(): string {
  const elements = indexes.map((i) => `${address(i)} . tcp . 80 : goto service-${i}`);
  const chains = indexes.map(
    (i) => `  chain service-${i} { meta l4proto tcp dnat to 10.99.${Math.floor(i / 250)}.${(i % 250) + 1}:8080; }`,
  );
  return `
table ip kube-proxy {
${chains.join('\n')}
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { ${elements.join(', ')} } }
  set cluster-ips { type ipv4_addr; elements = { ${indexes.map(address).join(', ')} } }
  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
  chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
  chain masquerading { meta mark & 0x4000 == 0 return; meta mark set meta mark ^ 0x4000; masquerade fully-random; }
  chain cluster-ips-check { ip daddr @cluster-ips reject; }
  chain filter-prerouting { type filter hook prerouting priority -110; ct state new jump cluster-ips-check; }
  chain filter-forward { type filter hook forward priority 0; ct state new jump cluster-ips-check; ct state invalid drop; }
  chain filter-output { type filter hook output priority -110; ct state new jump cluster-ips-check; }
  chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
  chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
`;
}
