using Godwit.Storage;

namespace Godwit.Testing.Disks;

/// <summary>A device and the way to open it again. Disposing it disposes the device.</summary>
/// <param name="device">The device, writable.</param>
/// <param name="reopen">Opens the same disk again once the device has been disposed; true for reading only. Null when the
/// content ends with the device.</param>
public sealed class DiskUnderTest(BlockDevice device, Func<bool, ValueTask<BlockDevice>>? reopen = null) : IAsyncDisposable
{
    public BlockDevice Device { get; private set; } = device;

    public bool CanReopen => reopen is not null;

    /// <summary>Disposes the device and opens the disk again.</summary>
    public async Task ReopenAsync(bool readOnly = false)
    {
        await Device.DisposeAsync();
        Device = await reopen!(readOnly);
    }

    public ValueTask DisposeAsync() => Device.DisposeAsync();
}
