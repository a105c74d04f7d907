"""One packetdrill script on three systems: what does each answer to the same SYN?

python examples/who_answers.py
"""

import pystack
from pystack import packetdrill

SCRIPT = """
 0   socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0   bind(3, ..., ...) = 0
+0   listen(3, 1) = 0
+0   < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>
+0   > S. 0:0(0) ack 1 <...>
"""


def main() -> dict[str, str]:
    """The SYN-ACK of each system, as a line of a script."""
    answers = {}
    script = packetdrill.parse(SCRIPT)
    for profile in ("linux-6", "freebsd-14", "freebsd-10"):
        verdict = packetdrill.play(script, profile=profile)
        answers[profile] = next(m.text for m in verdict.trace if m.kind == ">")
        print(f"{profile:11} {answers[profile]}")
    # the same against a machine that lives in a network, among others
    net = pystack.Network(seed=1)
    net.host("web", "10.0.0.1/24", profile="freebsd-14", sysctl={"net.inet.tcp.rfc1323": 0})
    verdict = net.play(SCRIPT, host="web")
    answers["no RFC 1323"] = next(m.text for m in verdict.trace if m.kind == ">")
    print(f"no RFC 1323 {answers['no RFC 1323']}")
    return answers


if __name__ == "__main__":
    main()
