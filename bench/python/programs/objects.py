"""Objects: a binary tree of accounts, with methods, a property, inheritance."""


class Node:
    def __init__(self, key):
        self.key = key
        self.left = self.right = None
        self.balance = 0

    def insert(self, key):
        node = self
        while True:
            side = "left" if key < node.key else "right"
            child = getattr(node, side)
            if child is None:
                setattr(node, side, self.make(key))
                return
            node = child

    def make(self, key):
        return Saver(key) if key % 3 else Node(key)

    def pay(self, amount):
        self.balance += amount

    @property
    def worth(self):
        return self.balance

    def total(self):
        sum_of_sides = 0
        for child in self.left, self.right:
            if child is not None:
                sum_of_sides += child.total()
        return self.worth + sum_of_sides


class Saver(Node):
    def pay(self, amount):
        super().pay(2 * amount)

    @property
    def worth(self):
        return self.balance + 1


def run(count):
    root = Node(500)
    key = 1
    for _ in range(count):
        key = key * 16807 % 2147483647
        root.insert(key % 1000)
    nodes = [root]
    for node in nodes:
        for child in node.left, node.right:
            if child is not None:
                nodes.append(child)
        node.pay(node.key)
        node.pay(1)
    return root.total()


SIZES = {"tiny": (20, 16719), "small": (200, 162508), "large": (12000, 9954294)}
