using System.Buffers.Binary;
using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>What an export says of itself, and that it keeps to it.</summary>
public sealed class ExportTests : IAsyncDisposable
{
    private const int Size = 1 << 20;
    private readonly JournalDisk _disk = new(Size);
    private readonly ServerUnderTest _server;

    public ExportTests() => _server = new ServerUnderTest(
        null,
        new NbdExport("writer", _disk),
        new NbdExport("reader", _disk) { ReadOnly = true, Description = "the web server's disk, für alle" },
        new NbdExport("large", new ReferenceDisk(Size, new DiskCapabilities(4096, 8192, false, TrimResult.Zeroes, false))),
        new NbdExport("small", new ReferenceDisk(Size, new DiskCapabilities(512, 512, false, TrimResult.Zeroes, false))));

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Theory(Timeout = 20_000)]
    [InlineData("writer", 512, 4096)]
    [InlineData("large", 4096, 8192)]
    [InlineData("small", 512, 4096)]
    public async Task Block_sizes_are_those_of_the_device_and_requests_are_held_to_them(string export, int minimum, int preferred)
    {
        await Task.Yield();
        using var client = _server.Connect().Go(export);
        using var asking = _server.Connect();
        asking.Greet();
        var block = asking.Ask(6, RawClient.GoText(export, 3)).Single(r => r.Type == 3 && r.Data[1] == 3).Data;
        Assert.Equal([minimum, preferred, 32 << 20], Enumerable.Range(0, 3).Select(i => BinaryPrimitives.ReadInt32BigEndian(block.AsSpan(2 + (4 * i)))));
        Assert.Equal(NbdError.None, client.Ask(NbdCommand.Read, (uint)minimum, (uint)minimum).Error);
        Assert.Equal(NbdError.Invalid, client.Ask(NbdCommand.Read, (uint)minimum / 2, (uint)minimum).Error);
        Assert.Equal(NbdError.Invalid, client.Ask(NbdCommand.Read, 0, (uint)minimum / 2).Error);
    }

    [Theory(Timeout = 20_000)]
    [InlineData("large", 0x80000008u)]
    [InlineData("writer", 1u)]
    public async Task Who_does_not_ask_for_block_sizes_gets_no_disk_with_large_sectors(string export, uint answer)
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        Assert.Equal(answer, client.Ask(6, RawClient.GoText(export))[^1].Type);
        Assert.Equal(answer, client.Ask(7, RawClient.GoText(export, 1))[^1].Type);
        if (answer != 1)
            Assert.Equal(1u, client.Ask(7, RawClient.GoText(export, 3))[^1].Type);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdCommand.Write)]
    [InlineData(NbdCommand.Trim)]
    [InlineData(NbdCommand.WriteZeroes)]
    public async Task A_read_only_export_of_a_writable_disk_refuses_changes(object command)
    {
        await Task.Yield();
        using var writer = _server.Connect().Go("writer");
        using var reader = _server.Connect().Go("reader");
        var payload = (NbdCommand)command == NbdCommand.Write ? Enumerable.Repeat((byte)5, 512).ToArray() : null;
        Assert.Equal(NbdError.NotPermitted, reader.Ask((NbdCommand)command, 0, 512, payload: payload).Error);
        Assert.Empty(_disk.TakeChanges());
        Assert.Equal(NbdError.None, writer.Ask((NbdCommand)command, 0, 512, payload: payload).Error);
        Assert.Single(_disk.TakeChanges());
        Assert.Equal(payload is null ? (byte)0 : (byte)5, reader.Ask(NbdCommand.Read, 0, 512).Data[0]);
        await using var device = await _server.OpenAsync("reader");
        Assert.True(device.Capabilities.ReadOnly);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_description_is_given_to_those_who_ask_and_in_the_list()
    {
        await Task.Yield();
        using var client = _server.Connect();
        client.Greet();
        var description = Encoding.UTF8.GetBytes("the web server's disk, für alle");
        Assert.Equal(description, client.Ask(6, RawClient.GoText("reader", 2)).Single(r => r.Type == 3 && r.Data[1] == 2).Data[2..]);
        Assert.DoesNotContain(client.Ask(6, RawClient.GoText("reader")), r => r.Type == 3 && r.Data[1] == 2);
        Assert.DoesNotContain(client.Ask(6, RawClient.GoText("writer", 2)), r => r.Type == 3 && r.Data[1] == 2);
        Assert.Equal(description, client.Ask(3, [])[1].Data[(4 + "reader".Length)..]);
        Assert.Throws<ArgumentException>(() => new NbdExport("x", _disk) { Description = new string('d', 4097) });
    }

    [Fact(Timeout = 60_000)]
    public async Task Nbdinfo_shows_it()
    {
        var exports = (await Tool.RunAsync("nbdinfo", "--list", "--json", _server.Uri(""))).Json().GetProperty("exports").EnumerateArray().ToArray();
        Assert.Equal(["writer", "reader", "large", "small"], exports.Select(export => export.GetProperty("export-name").GetString()));
        Assert.Equal("the web server's disk, für alle", exports[1].GetProperty("description").GetString());
        Assert.True(exports[1].GetProperty("is_read_only").GetBoolean());
        Assert.False(exports[0].GetProperty("is_read_only").GetBoolean());
        Assert.Equal(4096, exports[2].GetProperty("block_size_minimum").GetInt32());
        Assert.Equal(8192, exports[2].GetProperty("block_size_preferred").GetInt32());
    }
}
