using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Xunit;

namespace Godwit.Nbd.Tests.Worker;

[Collection(WorkerPrograms.Name)]
public sealed class ServingTests
{
    private const long Size = 64 << 20;
    private readonly CancellationToken _ct = TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task Two_disks_are_served_to_other_peoples_clients()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.vhdx", "disk1.img");
        foreach (var disk in (string[])["disk0", "disk1"])
        {
            var uri = $"nbd+unix:///{disk}?socket={worker.NbdSocket}";
            Assert.Equal($"{Size}", (await Tools.RunAsync(["nbdinfo", "--size", uri], _ct)).Trim());
            await Tools.RunAsync(["qemu-io", "-f", "raw", "-c", "write -P 0x21 1M 3M", "-c", "read -P 0x21 1M 3M", "-c", "flush", uri], _ct);
        }

        var status = await worker.StatusAsync(_ct);
        Assert.Equal([DiskFormat.VhdxDynamic, DiskFormat.Raw], status.Disks.Select(d => d.Format));
        Assert.All(status.Disks, d => Assert.InRange(d.AllocatedBytes, 3 << 20, Size));
        Assert.All(status.Disks, d => Assert.Equal((3L << 20, 0L), (d.Statistics!.Writes.Bytes, d.Statistics.Writes.Errors)));
        Assert.All(status.Disks, d => Assert.True(d.Statistics!.Flushes.Requests > 0 && d.Statistics.Reads.Bytes >= 3 << 20));
        Assert.All(status.Disks, d => Assert.Equal(d.Statistics!.Writes.Requests, d.Statistics.Writes.Latency.Sum(step => step.Requests)));
        Assert.Equal(0, await worker.StopAsync(_ct));
        await Tools.RunAsync(["qemu-io", "-f", "vhdx", "-c", "read -P 0x21 1M 3M", worker.File("disk0.vhdx")], _ct);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_disk_that_cannot_be_opened_leaves_the_others_alone_and_comes_back_by_itself()
    {
        await using var worker = WorkerUnderTest.Create("disk0.img", "disk1.img");
        await worker.MakeImageAsync(worker.File("disk0.img"), Size, _ct);
        worker.Supervise();
        var status = await worker.StatusAsync(_ct);
        Assert.Null(status.Disks[0].Problem);
        Assert.Equal(ErrorCode.NotFound, status.Disks[1].Problem?.Code);
        await using (await worker.ConnectAsync("disk0", _ct))
            await Assert.ThrowsAsync<StorageException>(async () => await worker.ConnectAsync("disk1", _ct));

        await worker.MakeImageAsync(worker.File("disk1.img"), Size, _ct);
        Assert.Null((await worker.StatusAsync(_ct)).Disks[1].Problem);
        await using var well = await worker.ConnectAsync("disk1", _ct);
        Assert.Equal(Size, well.Length);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_corrupt_image_is_a_problem_of_its_disk_with_file_and_reason()
    {
        await using var worker = WorkerUnderTest.Create("disk0.vhdx");
        await File.WriteAllBytesAsync(worker.File("disk0.vhdx"), [.. "vhdxfile"u8, .. new byte[1 << 20]], _ct);
        worker.Supervise();
        var disk = await worker.DiskAsync(_ct);
        Assert.Equal(ErrorCode.Corrupt, disk.Problem?.Code);
        Assert.Contains(worker.File("disk0.vhdx"), disk.Problem!.Title, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task The_format_found_at_the_first_start_is_kept_whatever_the_guest_writes()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        await using (var device = await worker.ConnectAsync("disk0", _ct))
        {
            var fake = new byte[4096];
            "vhdxfile"u8.CopyTo(fake);
            await device.WriteAsync(0, fake, WriteFlags.None, _ct);
        }

        worker.KillWorker();
        var disk = await worker.WaitForAsync(d => d.Problem is null, _ct);
        Assert.Equal((DiskFormat.Raw, Size), (disk.Format, disk.Size));
        Assert.Equal(DiskFormat.Raw, worker.Read().Disks[0].Disk.Format);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("this is not JSON")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[1,2,3]")]
    [InlineData("{\"command\":\"format-c\"}")]
    [InlineData("{\"command\":\"mirror-start\"}")]
    [InlineData("{\"command\":\"mirror-start\",\"disk\":\"disk0\",\"jobId\":\"not-an-id\",\"targetPath\":\"/x\"}")]
    [InlineData("{\"command\":\"mirror-start\",\"disk\":\"disk0\",\"targetPath\":\"relative/path\"}")]
    [InlineData("{\"command\":\"mirror-start\",\"disk\":\"disk0\",\"targetPath\":\"/tmp/x\",\"bytesPerSecond\":-1}")]
    [InlineData("{\"command\":\"mirror-switch\",\"disk\":\"nope\"}")]
    [InlineData("")]
    public async Task Garbage_gets_an_answer_and_the_connection_stays(string line)
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(worker.ControlSocket), _ct);
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream);
        await stream.WriteAsync(Encoding.UTF8.GetBytes($"{line}\n{{\"command\":\"status\"}}\n"), _ct);
        var refused = JsonSerializer.Deserialize((await reader.ReadLineAsync(_ct))!, ApiJson.Default.WorkerReply)!;
        Assert.True(refused.Problem?.Code is ErrorCode.InvalidRequest or ErrorCode.NotFound, refused.ToString());
        Assert.Null(refused.Status);
        var status = JsonSerializer.Deserialize((await reader.ReadLineAsync(_ct))!, ApiJson.Default.WorkerReply)!;
        Assert.Single(status.Status!.Disks);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_request_without_end_is_cut_off_and_others_are_answered_meanwhile()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(worker.ControlSocket), _ct);
        await using var stream = new NetworkStream(socket);
        await stream.WriteAsync(new byte[60_000], _ct);
        Assert.NotNull((await worker.StatusAsync(_ct)).Disks);
        await stream.WriteAsync(new byte[6_000], _ct);
        using var reader = new StreamReader(stream);
        var reply = JsonSerializer.Deserialize((await reader.ReadLineAsync(_ct))!, ApiJson.Default.WorkerReply)!;
        Assert.Equal(ErrorCode.InvalidRequest, reply.Problem?.Code);
    }

    [Fact(Timeout = 30_000)]
    public async Task Many_clients_are_answered_at_once()
    {
        await using var worker = await WorkerUnderTest.StartAsync(Size, _ct, "disk0.img");
        var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => worker.StatusAsync(_ct)));
        Assert.All(answers, status => Assert.Single(status.Disks));
    }

    [Fact(Timeout = 60_000)]
    public async Task A_parent_outside_the_folders_the_host_allows_is_never_served()
    {
        await using var worker = WorkerUnderTest.Create("vms/disk0.vhdx");
        Directory.CreateDirectory(worker.File("vms"));
        Directory.CreateDirectory(worker.File("secret"));
        await worker.MakeImageAsync(worker.File("secret/base.vhdx"), Size, _ct);
        await ChildImage.CreateAsync(worker.File("vms/disk0.vhdx"), worker.File("secret/base.vhdx"), null, null, PathMap.Empty, _ct);
        var folders = new ParentFolders([worker.File("vms")], []);
        await File.WriteAllBytesAsync(Path.Combine(worker.Config, "folders.json"), JsonSerializer.SerializeToUtf8Bytes(folders, ApiJson.Default.ParentFolders), _ct);
        worker.Supervise();
        var disk = await worker.WaitForAsync(disk => disk.Problem is not null, _ct);
        Assert.Equal(ErrorCode.AccessDenied, disk.Problem!.Code);
        Assert.Contains(worker.File("secret/base.vhdx"), disk.Problem.Title, StringComparison.Ordinal);
        Assert.Equal(0, disk.Size);
        File.Move(worker.File("secret/base.vhdx"), worker.File("vms/base.vhdx"));
        await worker.WaitForAsync(disk => disk.Size == Size, _ct);
    }
}
