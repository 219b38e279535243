using Godwit.Storage;
using Godwit.Testing.Disks;

namespace Godwit.Nbd.Tests.Nbd;

/// <summary>The client over our own server behaves like any other disk.</summary>
public sealed class NbdDeviceConformance : DiskConformance, IAsyncDisposable
{
    private readonly List<ServerUnderTest> _servers = [];

    protected override int Sequences => 15;

    protected override string? AllocatesBecause => "every request crosses a socket";

    public async ValueTask DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
    }

    protected override async ValueTask<DiskUnderTest> CreateAsync(long size)
    {
        var disk = new ReferenceDisk(size);
        var server = new ServerUnderTest(null, new NbdExport("disk", disk), new NbdExport("reader", new Reader(disk)));
        _servers.Add(server);
        return new DiskUnderTest(
            await server.OpenAsync(), async readOnly => await server.OpenAsync(readOnly ? "reader" : "disk"));
    }

    private sealed class Reader(BlockDevice inner) : DelegatingBlockDevice(inner, inner.Capabilities with { ReadOnly = true });
}
