"""The operations of problem.h in eager PyTorch, for clade-peers: started by torch.c, which speaks on standard input.

    prepare OPERATION LENGTH HEADS KEY_HEADS WIDTH VALUE_WIDTH SCALE, then for each tensor
    tensor NAME COUNT and COUNT floats, then
    end             answered by a line
    run             answered by a line: seconds
    result          answered by y's floats

Recurrences are in chunks, the fastest form that eager PyTorch has: products inside a chunk, one loop over the chunks' states.
"""
import sys
import time

import torch
import torch.nn.functional as F

CHUNK = 64


def chunks(x):
    """[H, T, n] -> [H, T / CHUNK, CHUNK, n], zeros behind the end."""
    return F.pad(x, (0, 0, 0, -x.shape[1] % CHUNK)).unflatten(1, (-1, CHUNK))


def causal_attention(q, k, v, scale, mask):
    return (torch.bmm(q, k.transpose(1, 2)).mul_(scale).masked_fill_(mask, float("-inf"))).softmax(2) @ v


def differences(b):
    """exp(b_i - b_j) for j <= i, else 0, of cumulated gates b [H, N, C, 1]."""
    above = torch.ones(CHUNK, CHUNK, dtype=torch.bool).triu(1)
    return (b - b.transpose(2, 3)).masked_fill(above, float("-inf")).exp()


def running_states(updates, decay):
    """The state before each chunk: S_n = decay_n S_{n-1} + updates_n for updates [H, N, d, e]."""
    states, state = [], torch.zeros_like(updates[:, 0])
    for n in range(updates.shape[1]):
        states.append(state)
        state = updates[:, n] + (state if decay is None else decay[:, n] * state)
    return torch.stack(states, 1)


def linear_attention(q, k, v, scale):
    q, k, v, length = chunks(q * scale), chunks(k), chunks(v), q.shape[1]
    before = running_states(k.transpose(2, 3) @ v, None)
    return ((q @ k.transpose(2, 3)).tril() @ v + q @ before).flatten(1, 2)[:, :length]


def gated_linear_attention(q, k, v, scale, log_decay):
    q, k, v, b, length = chunks(q * scale), chunks(k), chunks(v), chunks(log_decay).cumsum(2), q.shape[1]
    last = b[:, :, -1:]
    q = q * b.exp()
    inside = (q @ (k * (-b).exp()).transpose(2, 3)).tril() @ v
    before = running_states((k * (last - b).exp()).transpose(2, 3) @ v, last.exp().transpose(2, 3))
    return (inside + q @ before).flatten(1, 2)[:, :length]


def state_space_dual(q, k, v, scale, delta, rate):
    step, length = F.softplus(delta), q.shape[1]
    q, k, v, b = chunks(q * scale), chunks(k), chunks(v * step), chunks(step * rate[:, None, None]).cumsum(2)
    last = b[:, :, -1:]
    inside = (q @ k.transpose(2, 3) * differences(b)) @ v
    before = running_states(k.transpose(2, 3) @ (v * (last - b).exp()), last.exp())
    return (inside + (q @ before) * b.exp()).flatten(1, 2)[:, :length]


def delta_rule(q, k, v, scale, beta, log_decay=None):
    """A chunk's updates u solve (I + A) u = beta (v - exp(b) k S), A the strictly lower part of beta k k^T exp(b_i - b_j)."""
    length = q.shape[1]
    b = chunks(torch.zeros_like(beta) if log_decay is None else log_decay).cumsum(2)
    q, k, v, beta, last, decay = chunks(q * scale), chunks(k), chunks(v), chunks(beta), b[:, :, -1:], differences(b)
    lower = (beta * (k @ k.transpose(2, 3)) * decay).tril(-1)
    both = torch.linalg.solve_triangular(lower, torch.cat([beta * v, beta * b.exp() * k], 3), upper=False, unitriangular=True)
    u, w = both.split([v.shape[3], k.shape[3]], 3)
    scores, q, k = (q @ k.transpose(2, 3)) * decay, q * b.exp(), k * (last - b).exp()
    state, outputs = torch.zeros(q.shape[0], k.shape[3], v.shape[3]), []
    for n in range(q.shape[1]):
        update = u[:, n] - w[:, n] @ state
        outputs.append(q[:, n] @ state + scores[:, n] @ update)
        state = last[:, n].exp() * state + k[:, n].transpose(1, 2) @ update
    return torch.cat(outputs, 1)[:, :length]


FUNCTIONS = {
    "causal-attention": causal_attention,
    "linear-attention": linear_attention,
    "gated-linear-attention": gated_linear_attention,
    "delta-rule": delta_rule,
    "gated-delta-rule": delta_rule,
    "state-space-dual": state_space_dual,
}


def prepare(operation, length, heads, key_heads, scale):
    """Tensors come as [T, H, n]; the functions take them as [H, T, n], laid out so."""
    arguments = {"scale": scale}
    while (line := sys.stdin.buffer.readline().split()) != [b"end"]:
        name, count = line[1].decode(), int(line[2])
        x = torch.frombuffer(bytearray(sys.stdin.buffer.read(4 * count)), dtype=torch.float32)
        if name != "rate":
            x = x.view(length, key_heads if name in ("q", "k") else heads, -1).transpose(0, 1).contiguous()
        arguments[name] = x
    if operation == "causal-attention":
        arguments["mask"] = torch.ones(length, length, dtype=torch.bool).triu(1)
    return arguments


def answer(text):
    sys.stdout.buffer.write(f"{text}\n".encode())
    sys.stdout.buffer.flush()


def main():
    torch.set_num_threads(int(sys.argv[1]))
    answer(torch.__version__)
    while line := sys.stdin.buffer.readline().decode().split():
        if line[0] == "prepare":
            function = FUNCTIONS[line[1]]
            length, heads, key_heads = map(int, line[2:5])
            arguments, y = prepare(line[1], length, heads, key_heads, float(line[7])), None
            answer("ready")
        elif line[0] == "run":
            del y
            start = time.perf_counter()
            y = function(**arguments)
            answer(f"{time.perf_counter() - start:.9f}")
        elif line[0] == "result":
            sys.stdout.buffer.write(y.transpose(0, 1).contiguous().numpy().tobytes())
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    with torch.inference_mode():
        main()
