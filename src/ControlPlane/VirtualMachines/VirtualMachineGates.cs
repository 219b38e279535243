using System.Collections.Concurrent;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>One gate per VM: what changes a VM's processes or its definition passes one at a time.</summary>
public sealed class VirtualMachineGates
{
    private readonly ConcurrentDictionary<Guid, SemaphoreSlim> _gates = new();

    /// <summary>Waits for the VM's gate. Dispose the result to open it again.</summary>
    /// <param name="vm">The VM.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<IDisposable> EnterAsync(Guid vm, CancellationToken cancellationToken)
    {
        var gate = _gates.GetOrAdd(vm, _ => new SemaphoreSlim(1, 1));
        await gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new Passage(gate);
    }

    /// <summary>Enters when nobody is inside; null otherwise.</summary>
    /// <param name="vm">The VM.</param>
    public IDisposable? TryEnter(Guid vm)
    {
        var gate = _gates.GetOrAdd(vm, _ => new SemaphoreSlim(1, 1));
        return gate.Wait(0) ? new Passage(gate) : null;
    }

    private sealed class Passage(SemaphoreSlim gate) : IDisposable
    {
        private SemaphoreSlim? _gate = gate;

        public void Dispose() => Interlocked.Exchange(ref _gate, null)?.Release();
    }
}
