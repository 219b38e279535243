using System.Text.Json;
using Godwit.Storage;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>Our server with the programs of libnbd, nbdkit and QEMU.</summary>
public sealed class InteropTests : IAsyncDisposable
{
    private const int Size = 16 << 20;
    private readonly TempFolder _folder = new();
    private readonly BlockDevice _disk;
    private readonly ServerUnderTest _server;

    public InteropTests()
    {
        using (var file = File.Create(_folder.File("disk.raw")))
            file.SetLength(Size);
        _disk = RawDisk.Open(LocalFile.Open(_folder.File("disk.raw"), readOnly: false));
        _server = new ServerUnderTest(_disk);
    }

    private string ImageOptions => $"driver=nbd,server.type=unix,server.path={_server.SocketPath},export=disk";

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _disk.DisposeAsync();
        _folder.Dispose();
    }

    [Fact(Timeout = 60_000)]
    public async Task Nbdinfo_sees_the_export_and_its_holes()
    {
        await _disk.WriteAsync(4 << 20, Pattern(1, 1 << 20), WriteFlags.None, CancellationToken.None);
        var export = (await Tool.RunAsync("nbdinfo", "--json", _server.Uri())).Json().GetProperty("exports")[0];
        Assert.Equal(Size, export.GetProperty("export-size").GetInt64());
        Assert.Equal("base:allocation", export.GetProperty("contexts")[0].GetString());
        Assert.Equal(512, export.GetProperty("block_size_minimum").GetInt32());
        foreach (var ability in new[] { "can_multi_conn", "can_flush", "can_fua", "can_trim", "can_zero", "can_df", "can_cache", "can_fast_zero" })
            Assert.True(export.GetProperty(ability).GetBoolean(), ability);
        var map = (await Tool.RunAsync("nbdinfo", "--map", "--json", _server.Uri())).Json().EnumerateArray()
            .Select(extent => (extent.GetProperty("offset").GetInt64(), extent.GetProperty("length").GetInt64(), extent.GetProperty("type").GetInt32()));
        Assert.Equal([(0, 4 << 20, 3), (4 << 20, 1 << 20, 0), (5 << 20, 11 << 20, 3)], map);
        Assert.Contains("disk", (await Tool.RunAsync("nbdinfo", "--list", _server.Uri(""))).Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Nbdcopy_copies_in_and_out_with_several_connections()
    {
        var source = _folder.File("source");
        await File.WriteAllBytesAsync(source, Sparse());
        (await Tool.RunAsync("nbdcopy", "--connections=4", "--flush", source, _server.Uri())).Succeeded();
        (await Tool.RunAsync("nbdcopy", "--connections=4", _server.Uri(), _folder.File("copy"))).Succeeded();
        await AssertSameAsync(Sparse(), _folder.File("copy"));
    }

    [Fact(Timeout = 60_000)]
    public async Task Nbdsh_drives_every_command()
    {
        const string Script = """
            b = bytes(range(256)) * 16
            h.pwrite(b, 4096, nbd.CMD_FLAG_FUA)
            assert h.pread(4096, 4096) == b
            assert h.pread_structured(4096, 4096, lambda *chunk: 0, nbd.CMD_FLAG_DF) == b
            h.zero(512, 4096, nbd.CMD_FLAG_NO_HOLE)
            h.zero(512, 4608, nbd.CMD_FLAG_FAST_ZERO)
            h.trim(1024, 5120)
            h.cache(8192, 0)
            h.flush()
            assert h.pread(2048, 4096) == bytearray(2048)
            assert h.pread(2048, 6144) == b[2048:]
            h.set_strict_mode(0)
            for bad in [lambda: h.pread(512, h.get_size()), lambda: h.pwrite(bytes(10), 0), lambda: h.trim(512, 7)]:
                try:
                    bad()
                    raise SystemExit("a request out of bounds succeeded")
                except nbd.Error:
                    pass
            entries = []
            h.block_status(h.get_size(), 0, lambda c, o, e, err: entries.extend(e))
            assert sum(entries[0::2]) == h.get_size(), entries
            print("done")
            """;
        var result = await Tool.RunAsync("nbdsh", "--base-allocation", "-u", _server.Uri(), "-c", Script);
        Assert.Equal("done", result.Succeeded().Output.Trim());
    }

    [Fact(Timeout = 60_000)]
    public async Task Qemu_io_writes_zeroes_discards_and_reads()
    {
        string[] commands =
        [
            "write -P 0xab 0 1M", "aio_write -P 0xcd 4M 2M", "aio_flush", "write -f -P 0xef 8M 4k", "write -z 64k 64k", "write -z -u 128k 64k",
            "discard 4M 1M", "flush", "read -P 0xab 0 64k", "read -P 0 64k 128k", "read -P 0xab 192k 64k", "read -P 0xcd 5M 1M",
            "read -P 0xef 8M 4k", "read -P 0 8196k 4k",
        ];
        var arguments = new List<string> { "--image-opts", ImageOptions };
        foreach (var command in commands)
            arguments.AddRange(["-c", command]);
        var result = await Tool.RunAsync("qemu-io", [.. arguments]);
        Assert.DoesNotContain("failed", result.Succeeded().Output + result.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task Qemu_sends_ranges_beyond_32_bits_in_one_request()
    {
        var disk = new VastDisk();
        await using var server = new ServerUnderTest(disk);
        var result = await Tool.RunAsync("qemu-io", "-f", "raw", server.Uri(), "-c", "write -z -n -u 0 8G", "-c", "read 1G 4k");
        Assert.DoesNotContain("failed", result.Succeeded().Output + result.Error, StringComparison.Ordinal);
        Assert.Equal([("zeroes", 0, 8L << 30), ("read", 1L << 30, 4096)], disk.TakeAsked());
        var map = (await Tool.RunAsync("qemu-img", "map", "-f", "raw", "--output=json", server.Uri())).Json();
        Assert.Equal([VastDisk.Size / 2, VastDisk.Size / 2], map.EnumerateArray().Select(extent => extent.GetProperty("length").GetInt64()));
    }

    [Fact(Timeout = 60_000)]
    public async Task Qemu_img_converts_maps_and_compares()
    {
        await File.WriteAllBytesAsync(_folder.File("source"), Sparse());
        (await Tool.RunAsync("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", _folder.File("source"), $"nbd:unix:{_server.SocketPath}:exportname=disk")).Succeeded();
        (await Tool.RunAsync("qemu-img", "convert", "-f", "raw", "-O", "qcow2", _server.Uri(), _folder.File("copy.qcow2"))).Succeeded();
        (await Tool.RunAsync("qemu-img", "compare", "-f", "qcow2", "-F", "raw", _folder.File("copy.qcow2"), _folder.File("source"))).Succeeded();
        var map = (await Tool.RunAsync("qemu-img", "map", "--output=json", "--image-opts", ImageOptions)).Json();
        Assert.Contains(map.EnumerateArray(), extent => extent.GetProperty("data").ValueKind == JsonValueKind.True);
        Assert.Contains(map.EnumerateArray(), extent => extent.GetProperty("zero").ValueKind == JsonValueKind.True);
    }

    [Fact(Timeout = 60_000)]
    public async Task Nbdkits_client_passes_everything_on()
    {
        await File.WriteAllBytesAsync(_folder.File("source"), Sparse());
        string[] nbdkit = ["-U", "-", "nbd", $"socket={_server.SocketPath}", "export=disk", "shared=true"];
        (await Tool.RunAsync("nbdkit", [.. nbdkit, "--run", $"nbdcopy {_folder.File("source")} \"$uri\" && nbdcopy \"$uri\" {_folder.File("copy")}"])).Succeeded();
        await AssertSameAsync(Sparse(), _folder.File("copy"));
    }

    private static async Task AssertSameAsync(byte[] expected, string path)
    {
        var copy = await File.ReadAllBytesAsync(path);
        Assert.True(expected.AsSpan().SequenceEqual(copy), $"{path} differs at {expected.AsSpan().CommonPrefixLength(copy)}");
    }

    /// <summary>Data and holes in turn.</summary>
    private static byte[] Sparse()
    {
        var bytes = new byte[Size];
        for (var at = 0; at < Size; at += 3 << 20)
            Pattern(at + 1, Math.Min(700_416, Size - at)).CopyTo(bytes, at);
        return bytes;
    }

    private static byte[] Pattern(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
