using System.Diagnostics.CodeAnalysis;

namespace Godwit.Storage.Decorators;

/// <summary>Shows a device that belongs to somebody else: disposing this one leaves it open.</summary>
/// <param name="owned">The device behind; stays its owner's.</param>
internal sealed class BorrowedDisk(BlockDevice owned) : DelegatingBlockDevice(owned)
{
    /// <inheritdoc/>
    [SuppressMessage("Usage", "CA2215", Justification = "Not disposing what is behind is what this class is for.")]
    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
