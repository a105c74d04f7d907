"""CoDel as RFC 8289, section 5, writes it down: a queue of (time, size, number), and what leaves it."""


class Model:
    def __init__(self, target, interval, step):
        self.target, self.interval, self.step = target, interval, step
        self.queue = []
        self.dropped = []
        self.largest = 0
        self.first_above = self.drop_next = self.count = self.last_count = 0
        self.dropping = False

    def enqueue(self, now, size, number):
        self.queue.append((now, size, number))
        self.largest = max(self.largest, size)

    def _dodequeue(self, now):
        """(packet or None, may it be dropped)."""
        if not self.queue:
            self.first_above = 0
            return None, False
        packet = self.queue.pop(0)
        behind = sum(size for _, size, _ in self.queue)
        if now - packet[0] < self.target or behind <= self.largest:
            self.first_above = 0
        elif self.first_above == 0:
            self.first_above = now + self.interval
        elif now >= self.first_above:
            return packet, True
        return packet, False

    def dequeue(self, now):
        packet, ok = self._dodequeue(now)
        if self.dropping:
            if not ok:
                self.dropping = False
            while self.dropping and now >= self.drop_next:
                self.dropped.append(packet[2])
                self.count += 1
                packet, ok = self._dodequeue(now)
                if ok:
                    self.drop_next += self.step(self.interval, self.count)
                else:
                    self.dropping = False
        elif ok:
            self.dropped.append(packet[2])
            packet, ok = self._dodequeue(now)
            self.dropping = True
            delta = self.count - self.last_count
            self.count = 1
            if delta > 1 and now - self.drop_next < 16 * self.interval:
                self.count = delta
            self.drop_next = now + self.step(self.interval, self.count)
            self.last_count = self.count
        return packet and packet[2]
