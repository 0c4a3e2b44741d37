# title: byte buffer behind torch.frombuffer receives the next packet before backward
# kind: silent-corruption
# raises: none
# culprit: 17
# victim: 16
# names: x, packet, w
# fix: torch.frombuffer(packet, dtype=torch.float32).clone()
# source: own reduction of https://pytorch.org/docs/stable/generated/torch.frombuffer.html
import struct
import torch

packet = bytearray(16)
struct.pack_into("4f", packet, 0, 1.0, 2.0, 3.0, 4.0)
x = torch.frombuffer(packet, dtype=torch.float32)
w = torch.full((4,), 0.5, requires_grad=True)
reading = (w * x).sum()
struct.pack_into("4f", packet, 0, 9.0, 9.0, 9.0, 9.0)
reading.backward()
print(w.grad)
