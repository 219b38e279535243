using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Storage.Formats;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>NBD_CMD_RESIZE against devices that can, must not and cannot.</summary>
public sealed class NbdResizeTests : IAsyncDisposable
{
    private const uint Size = 1 << 20;
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly ReferenceDisk _disk = new(Size);
    private readonly ReferenceDisk _fixed = new(Size, DiskCapabilities.Default);
    private readonly ServerUnderTest _server;

    public NbdResizeTests() => _server = new ServerUnderTest(
        null,
        new NbdExport("disk", _disk) { Resizable = true },
        new NbdExport("plain", _disk),
        new NbdExport("reader", _disk) { Resizable = true, ReadOnly = true },
        new NbdExport("fixed", _fixed) { Resizable = true });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory(Timeout = 30_000)]
    [InlineData(NbdHeaderForm.Extended)]
    [InlineData(NbdHeaderForm.Structured)]
    [InlineData(NbdHeaderForm.Simple)]
    public async Task Our_client_grows_the_disk_and_uses_the_new_part(object form)
    {
        var options = new NbdClientOptions { BestForm = (NbdHeaderForm)form };
        await using var other = await _server.OpenAsync("disk", options);
        await using var device = await _server.OpenAsync("disk", options);
        Assert.True(device.Capabilities.CanResize);
        await device.ResizeAsync(2 * Size, None);
        Assert.Equal((2 * Size, 2 * Size, Size), ((uint)device.Length, (uint)_disk.Length, (uint)other.Length));
        var bytes = new byte[4096];
        Array.Fill(bytes, (byte)7);
        await device.WriteAsync((2 * Size) - 4096, bytes, WriteFlags.None, None);
        await device.FlushAsync(None);
        Assert.Equal(7, _disk.ToArray()[^1]);
        await other.ReadAsync(0, bytes, None);
        await Assert.ThrowsAsync<StorageException>(async () => await other.ReadAsync(Size, bytes, None));
        await Assert.ThrowsAsync<StorageException>(async () => await device.ResizeAsync(Size, None));
        await using var later = await _server.OpenAsync("disk", options);
        Assert.Equal(2 * Size, later.Length);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("disk", Size, 0, 0, NbdError.None)]
    [InlineData("disk", Size + 512, 0, (int)NbdCommandFlags.ForceUnitAccess, NbdError.None)]
    [InlineData("disk", Size - 512, 0, 0, NbdError.Invalid)]
    [InlineData("disk", 0, 0, 0, NbdError.Invalid)]
    [InlineData("disk", Size + 1, 0, 0, NbdError.Invalid)]
    [InlineData("disk", Size + 512, 512, 0, NbdError.Invalid)]
    [InlineData("disk", ulong.MaxValue - 511, 0, 0, NbdError.Invalid)]
    [InlineData("disk", Size + 512, 0, (int)NbdCommandFlags.NoHole, NbdError.Invalid)]
    [InlineData("plain", Size + 512, 0, 0, NbdError.Invalid)]
    [InlineData("fixed", Size + 512, 0, 0, NbdError.Invalid)]
    [InlineData("reader", Size + 512, 0, 0, NbdError.NotPermitted)]
    public async Task Requests_are_answered_by_the_rules(string export, ulong size, ulong length, int flags, object error)
    {
        await Task.Yield();
        foreach (var form in new[] { NbdHeaderForm.Simple, NbdHeaderForm.Structured, NbdHeaderForm.Extended })
        {
            var before = _disk.Length;
            using var client = _server.Connect().Go(export, form);
            var changed = (NbdError)error == NbdError.None ? size : (ulong)before;
            if (changed >= (ulong)before)
                Assert.Equal(error, client.Ask(NbdCommand.Resize, size, length, (NbdCommandFlags)flags).Error);
            Assert.Equal((long)changed, _disk.Length);

            // The connection goes on whatever the answer was.
            Assert.Equal(NbdError.None, client.Ask(NbdCommand.Read, 0, 512).Error);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task Only_exports_that_can_offer_it()
    {
        foreach (var (export, offered) in new[] { ("disk", true), ("plain", false), ("reader", false), ("fixed", false) })
        {
            await using var device = await _server.OpenAsync(export);
            Assert.Equal(offered, device.Capabilities.CanResize);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task A_disk_without_room_answers_so_and_goes_on_as_it_was()
    {
        using var folder = new TempFolder();
        await DiskImage.CreateAsync(folder.File("d.vhd"), ImageFormat.VhdDynamic, 8 << 20, null, None);
        await using var disk = await DiskImage.OpenAsync(folder.File("d.vhd"), null, readOnly: false, None);
        await using var refusing = new RefusingDisk(disk);
        await using var server = new ServerUnderTest(null, new NbdExport("disk", refusing) { Resizable = true });
        await using var device = await server.OpenAsync();
        var length = device.Length;
        var refused = await Assert.ThrowsAsync<StorageException>(async () => await device.ResizeAsync(16 << 20, None));
        Assert.Equal(StorageErrorKind.NoSpace, refused.Kind);
        Assert.Equal((length, length), (device.Length, disk.Length));
        refusing.Refuses = false;
        await device.ResizeAsync(16 << 20, None);
        Assert.Equal((16 << 20, 16 << 20), (device.Length, disk.Length));
        await device.WriteAsync((16 << 20) - 512, new byte[512], WriteFlags.None, None);
    }

    private sealed class RefusingDisk(BlockDevice inner) : DelegatingBlockDevice(inner)
    {
        public bool Refuses { get; set; } = true;

        protected override ValueTask ResizeCoreAsync(long length, CancellationToken cancellationToken) => Refuses
            ? throw new StorageException(StorageErrorKind.NoSpace, "no room", Path)
            : base.ResizeCoreAsync(length, cancellationToken);
    }
}
