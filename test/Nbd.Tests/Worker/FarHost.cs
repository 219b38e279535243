using System.Net;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Nbd.Tests.Tls;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing;
using Godwit.Testing.Disks;
using Godwit.Testing.Files;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

/// <summary>A server with raw disks on files, as another host would have, and workers that may mirror to it.</summary>
internal sealed class FarHost : IAsyncDisposable
{
    public static readonly Guid Job = Guid.Parse("5eed0002-0000-4000-8000-000000000002");
    private readonly string _path;
    private readonly List<FaultyDisk> _disks;
    private readonly long _size;
    private TlsServer _server;

    private FarHost(string path, long size, List<FaultyDisk> disks, bool expired)
    {
        (_path, _size, _disks) = (path, size, disks);
        _server = Serve(expired);
    }

    public IPEndPoint EndPoint => _server.EndPoint;

    public TestAuthority Authority => _server.Authority;

    /// <summary>How its first disk fails.</summary>
    public FaultRules Rules => _disks[0].Rules;

    public static async Task<FarHost> CreateAsync(string path, long size, int disks = 1, bool expired = false)
    {
        var opened = new List<FaultyDisk>();
        for (var i = 0; i < disks; i++)
        {
            var file = LocalFile.Create(PathOf(path, i));
            await RawDisk.CreateAsync(file, size, CancellationToken.None);
            opened.Add(new FaultyDisk(RawDisk.Open(file)));
        }

        return new FarHost(path, size, opened, expired);
    }

    public static StartRemoteMirror Start(string disk, int port, int export = 0, long? bytesPerSecond = null, string serverName = "localhost") =>
        new(disk, Job, new RemoteTarget("127.0.0.1", port, $"target{export}", serverName), bytesPerSecond);

    /// <summary>A supervised worker that has this host's certificates and may connect to a port.</summary>
    public async Task<WorkerUnderTest> MirroredAsync(int port, string[] disks, CancellationToken ct)
    {
        var worker = WorkerUnderTest.Create(disks);
        foreach (var disk in disks)
            await worker.MakeImageAsync(worker.File(disk), _size, ct);
        Allow(worker, port);
        worker.Supervise();
        var status = await worker.StatusAsync(ct);
        Assert.Equal([], status.Sandbox!.Gaps);
        return worker;
    }

    /// <summary>Gives a worker that does not run yet the certificates, and the right to connect to a port.</summary>
    public void Allow(WorkerUnderTest worker, int port)
    {
        WriteCertificates(worker);
        File.WriteAllBytes(
            Path.Combine(worker.Config, "folders.json"),
            JsonSerializer.SerializeToUtf8Bytes(new ParentFolders([Path.GetDirectoryName(worker.Config)!], [], [port]), ApiJson.Default.ParentFolders));
    }

    /// <summary>The files of a worker that this host takes now.</summary>
    public void WriteCertificates(WorkerUnderTest worker) => Authority.WriteFiles(Path.Combine(worker.Config, "tls"), "worker", forServer: false);

    /// <summary>The server is started again with certificates of another authority, and knows only that one.</summary>
    public async Task RenewAuthorityAsync()
    {
        await _server.DisposeAsync();
        _server = Serve(expired: false);
    }

    public string PathOf(int disk) => PathOf(_path, disk);

    public async Task StopAsync()
    {
        if (_disks.Count == 0)
            return;
        await _server.DisposeAsync();
        foreach (var disk in _disks)
            await disk.DisposeAsync();
        _disks.Clear();
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private static string PathOf(string path, int disk) => disk == 0 ? path : $"{path}.{disk}";

    private TlsServer Serve(bool expired) => new([.. _disks.Select((disk, i) => new NbdExport($"target{i}", disk))], expired: expired);
}
