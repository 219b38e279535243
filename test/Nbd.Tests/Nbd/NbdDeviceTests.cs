using System.Net.Sockets;
using Godwit.Nbd.Protocol;
using Godwit.Storage;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Xunit;

namespace Godwit.Nbd.Tests.Nbd;

public sealed class NbdDeviceTests(ITestOutputHelper output)
{
    private const int Size = 4 << 20;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact(Timeout = 20_000)]
    public async Task No_server_and_no_export_are_told_apart()
    {
        await using var server = new ServerUnderTest(new ReferenceDisk(Size));
        var nobody = new UnixDomainSocketEndPoint(server.SocketPath + ".none");
        var failure = await Assert.ThrowsAsync<StorageException>(async () => await NbdDevice.ConnectAsync(nobody, "disk", None));
        Assert.Equal(StorageErrorKind.NotFound, failure.Kind);
        failure = await Assert.ThrowsAsync<StorageException>(async () => await server.OpenAsync("other"));
        Assert.Contains("other", failure.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 20_000)]
    public async Task It_works_over_tcp()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        listener.Listen();
        using var stop = new CancellationTokenSource();
        var running = new NbdServer([new NbdExport("", new ReferenceDisk(Size))], new NbdServerOptions()).RunAsync(listener, stop.Token);
        await using (var device = await NbdDevice.ConnectAsync(listener.LocalEndPoint!, "", None))
        {
            var bytes = new byte[1 << 20];
            new Random(1).NextBytes(bytes);
            await device.WriteAsync(512, bytes, WriteFlags.ForceUnitAccess, None);
            var read = new byte[bytes.Length];
            await device.ReadAsync(512, read, None);
            Assert.True(bytes.AsSpan().SequenceEqual(read));
        }

        await stop.CancelAsync();
        await running;
    }

    [Fact(Timeout = 20_000)]
    public async Task Requests_larger_than_the_server_takes_are_split()
    {
        await using var server = new ServerUnderTest(new ReferenceDisk(80 << 20));
        await using var device = await server.OpenAsync();
        var bytes = new byte[70 << 20];
        new Random(2).NextBytes(bytes);
        await device.WriteAsync(4096, bytes, WriteFlags.None, None);
        var read = new byte[bytes.Length];
        await device.ReadAsync(4096, read, None);
        Assert.True(bytes.AsSpan().SequenceEqual(read));
        Assert.Equal(4096, (await device.GetExtentAsync(0, 80 << 20, None)).Length);
    }

    [Theory(Timeout = 20_000)]
    [InlineData(NbdHeaderForm.Extended, 1)]
    [InlineData(NbdHeaderForm.Structured, 8)]
    [InlineData(NbdHeaderForm.Simple, 8)]
    public async Task Long_ranges_go_in_one_request_where_lengths_have_64_bits(object form, int requests)
    {
        var disk = new VastDisk();
        await using var server = new ServerUnderTest(disk);
        await using var device = await server.OpenAsync("disk", new NbdClientOptions { BestForm = (NbdHeaderForm)form });
        await device.WriteZeroesAsync(512, 8L << 30, WriteFlags.None, None);
        Assert.Equal(requests, disk.TakeAsked().Count);
        await device.TrimAsync(0, 8L << 30, None);
        Assert.Equal(requests, disk.TakeAsked().Count);
        var extent = await device.GetExtentAsync(4096, device.Length - 4096, None);
        var expected = (NbdHeaderForm)form switch
        {
            NbdHeaderForm.Extended => new Extent(4096, (VastDisk.Size / 2) - 4096, ExtentKind.Hole, Layer: 3),
            NbdHeaderForm.Structured => new Extent(4096, 1 << 30, ExtentKind.Hole, Layer: 3),
            _ => new Extent(4096, VastDisk.Size - 4096, ExtentKind.Data),
        };
        Assert.Equal(expected, extent);
    }

    [Fact(Timeout = 20_000)]
    public async Task The_servers_error_arrives_with_its_kind_and_reason()
    {
        var disk = new GatedDisk(Size);
        await using var server = new ServerUnderTest(disk);
        await using var device = await server.OpenAsync();
        disk.HoldWrites().SetException(new StorageException(StorageErrorKind.NoSpace, "the moon is full"));
        var failure = await Assert.ThrowsAsync<StorageException>(async () => await device.WriteAsync(0, new byte[512], WriteFlags.None, None));
        Assert.Equal(StorageErrorKind.NoSpace, failure.Kind);
        Assert.Contains("the moon is full", failure.Message, StringComparison.Ordinal);
        disk.Open();
        await device.WriteAsync(0, new byte[512], WriteFlags.None, None);
    }

    [Fact(Timeout = 20_000)]
    public async Task Cancelling_leaves_the_request_and_the_connection_goes_on()
    {
        var disk = new GatedDisk(Size);
        await using var server = new ServerUnderTest(disk);
        await using var device = await server.OpenAsync();
        var gate = disk.HoldReads();
        var buffer = new byte[1 << 20];
        for (var i = 0; i < 150; i++)
        {
            using var cancel = new CancellationTokenSource();
            var reading = device.ReadAsync(0, buffer, cancel.Token);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await reading);
            if (i % 10 != 9)
                continue;
            gate.SetResult();
            disk.Open();
            await device.ReadAsync(0, new byte[512], None);
            gate = disk.HoldReads();
        }

        gate.SetResult();
        disk.Open();
        buffer.AsSpan().Fill(1);
        await device.ReadAsync(0, new byte[4096], None);
        Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)1), "a cancelled read wrote into its buffer");
    }

    [Fact(Timeout = 20_000)]
    public async Task Everything_on_its_way_fails_when_the_connection_dies()
    {
        var disk = new GatedDisk(Size);
        await using var server = new ServerUnderTest(disk, new NbdServerOptions { StopTimeout = TimeSpan.FromMilliseconds(50) });
        await using var device = await server.OpenAsync();
        disk.HoldReads();
        var waiting = Enumerable.Range(0, 200).Select(i => device.ReadAsync(i * 4096, new byte[4096], None).AsTask()).ToArray();
        while (disk.Waiting < 50)
            await Task.Delay(5);
        await server.StopAsync();
        foreach (var task in waiting)
            await Assert.ThrowsAsync<StorageException>(() => task);
        var late = await Assert.ThrowsAsync<StorageException>(async () => await device.ReadAsync(0, new byte[512], None));
        Assert.Equal(StorageErrorKind.Closed, late.Kind);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(11, 300, NbdHeaderForm.Extended)]
    [InlineData(12, 300, NbdHeaderForm.Structured)]
    public async Task A_server_that_sends_garbage_causes_errors_and_nothing_else(int seed, int sessions, object form)
    {
        await using var server = new ServerUnderTest(new ReferenceDisk(Size));
        using var folder = new TempFolder();
        var random = new Random(seed);
        var (failed, good) = (0, 0);
        for (var session = 0; session < sessions; session++)
        {
            await using var liar = new MutatingProxy(server.EndPoint, folder.File($"{session}.sock"), random.Next());
            try
            {
                await UseAsync(liar.EndPoint, (NbdHeaderForm)form).WaitAsync(TimeSpan.FromSeconds(10));
                good++;
            }
            catch (StorageException)
            {
                failed++;
            }
            catch (Exception other) when (other is not StorageException)
            {
                Assert.Fail($"seed {seed}, session {session}: {other}");
            }
        }

        output.WriteLine($"seed {seed}: {failed} failed, {good} succeeded");
        Assert.True(failed > sessions / 5 && good > 0, $"{failed} failed, {good} succeeded: the mutations do not do their work");
        await UseAsync(server.EndPoint, (NbdHeaderForm)form);
    }

    [Fact(Timeout = 60_000)]
    public async Task Sixteen_connections_write_at_once_and_one_flush_covers_all()
    {
        var disk = new ReferenceDisk(Size);
        await using var server = new ServerUnderTest(disk);
        var devices = new List<NbdDevice>();
        for (var i = 0; i < 16; i++)
            devices.Add(await server.OpenAsync());

        // A connection is counted just after its client has the answer.
        for (var wait = 0; wait < 200 && server.Exports[0].Connections < 16; wait++)
            await Task.Delay(10);
        Assert.Equal(16, server.Exports[0].Connections);
        await Task.WhenAll(devices.Select((device, number) => Task.Run(async () =>
        {
            var bytes = new byte[4096];
            Array.Fill(bytes, (byte)(number + 1));
            for (var block = number; block < Size / 4096; block += 16)
                await device.WriteAsync(block * 4096, bytes, WriteFlags.None, None);
        })));
        await devices[3].FlushAsync(None);
        var all = disk.ToArray();
        for (var block = 0; block < Size / 4096; block++)
            Assert.False(all.AsSpan(block * 4096, 4096).ContainsAnyExcept((byte)((block % 16) + 1)));
        foreach (var device in devices)
            await device.DisposeAsync();
    }

    private static async Task UseAsync(UnixDomainSocketEndPoint server, NbdHeaderForm form)
    {
        await using var device = await NbdDevice.ConnectAsync(server, "disk", new NbdClientOptions { BestForm = form }, None);
        var bytes = new byte[8192];
        await device.WriteAsync(0, bytes, WriteFlags.None, None);
        await device.ReadAsync(0, bytes, None);
        await device.GetExtentAsync(0, device.Length, None);
        await device.ReadAsync(0, new byte[300 << 10], None);
        await device.WriteZeroesAsync(0, 4096, WriteFlags.None, None);
        await device.FlushAsync(None);
    }
}
