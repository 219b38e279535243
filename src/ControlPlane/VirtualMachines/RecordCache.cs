using System.Collections.Concurrent;
using System.Text.Json;
using Godwit.ControlPlane.Store;

namespace Godwit.ControlPlane.VirtualMachines;

/// <summary>Records by their stored text: a row that has not changed is not parsed again, and answers the same object. Records are never changed in
/// place, so the same text is the same record for ever.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class RecordCache
{
    private readonly ConcurrentDictionary<string, VirtualMachineRecord> _byText = new(StringComparer.Ordinal);

    /// <summary>The record that a text says.</summary>
    internal VirtualMachineRecord Get(string body) => _byText.GetOrAdd(
        body, static text => JsonSerializer.Deserialize(text, StoreJson.Default.VirtualMachineRecord)!);

    /// <summary>Forgets texts that are no longer stored, now and then: each change of a VM leaves one behind.</summary>
    /// <param name="stored">All that are.</param>
    internal List<VirtualMachineRecord> Keep(List<VirtualMachineRecord> stored)
    {
        if (_byText.Count > 64 + (2 * stored.Count))
        {
            var alive = stored.ToHashSet(ReferenceEqualityComparer.Instance);
            foreach (var (text, record) in _byText)
            {
                if (!alive.Contains(record))
                {
                    _byText.TryRemove(text, out _);
                }
            }
        }
        return stored;
    }
}
