"""Openings on two systems, by the octet: Fast Open, cookies, a failed connect repeated, what meets a half-open one."""

import sys

sys.path.insert(0, sys.argv[2])

from tcp.peer import THEM, US, Machine, pattern

from pystack._fast import commands, opening, tcb

seed = int(sys.argv[1])


def told(m: Machine) -> None:
    m.drain()
    for peer in m.peers.values():
        while peer.inbox:
            s = peer.inbox.popleft()
            print(s.time, peer.text(s), s.ts)
    print(sorted(m.states().items()), sorted(m.drops().items()), m.core.stat.as_dict())


for profile in ("linux-6", "freebsd-14"):
    m = Machine(profile, seed=seed, tcp_fastopen=3, tcp_fastopen_server=1, tcp_fastopen_client=1)
    listener = m.listen()
    listener.fo |= tcb.FO_LISTEN
    listener.fo_qlen = 4
    cookie = m.core.fastopen.cookie(m.core, b"", THEM, US).hex()
    for port, option in ((4000, ""), (4001, cookie), (4002, "0102030405060708")):
        p = m.peer(port)
        p.send(f"S 0:50(50) win 65535 <mss 1460,sackOK,TS,nop,wscale 7,FO {option}>")
        told(m)
        p.send("R 40:40(0)")
        p.send(". 51:51(0) ack 9 win 65535")
        p.send("S 0:0(0) win 65535 <mss 1460>")
    m.run(9)
    told(m)
    client = m.socket()
    client.fo |= tcb.FO_SOCKET
    print(m.call(commands.tcp_send_to, client, THEM, 80, memoryview(pattern(1, 90)), 0, 90))
    p = m.peer_of(client)
    p.next()
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1000,FO aabbccddeeff>")
    told(m)
    again = m.socket()
    again.fo |= tcb.FO_SOCKET
    print(m.call(commands.tcp_send_to, again, THEM, 81, memoryview(pattern(1, 90)), 0, 90))
    p = m.peer_of(again)
    m.run(3.5)
    p.send("R. 0:0(0) ack 1")
    print(m.call(opening.tcp_connect, again, THEM, 82))
    print(m.call(opening.tcp_connect, again, THEM, 82))
    m.run(2)
    told(m)
    m = Machine(profile, seed=seed, tcp_syncookies=2, tcp_syncookies_only=1)
    m.listen()
    for port, options in ((4000, "mss 1300"), (4001, "mss 1460,sackOK,TS,nop,wscale 3")):
        p = m.peer(port)
        p.send(f"S 0:0(0) win 65535 <{options}>")
        told(m)
        p.send(". 1:1(0) ack 1 win 1000")
        p.send("P. 1:9(8) ack 1 win 1000")
        told(m)
