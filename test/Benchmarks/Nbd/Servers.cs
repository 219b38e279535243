using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Disks;
using Godwit.Api.Workers;

namespace Godwit.Benchmarks.Nbd;

/// <summary>A disk that a server is to offer.</summary>
/// <param name="Name">Name of the export.</param>
/// <param name="Format">"raw", "vhdx" or, for QEMU alone, "qcow2".</param>
/// <param name="Path">The file; no other server has it open for writing.</param>
internal sealed record ServedFile(string Name, string Format, string Path);

/// <summary>How each server is started.</summary>
internal static class Servers
{
    /// <summary>The worker as it is shipped.</summary>
    /// <param name="worker">The program.</param>
    /// <param name="run">Its folder; the socket is in it, so its path must be short.</param>
    /// <param name="readOnly">Offer the disks for reading only.</param>
    /// <param name="files">The disks.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static Task<ServerProcess> GodwitAsync(
        string worker, string run, bool readOnly, IReadOnlyList<ServedFile> files, CancellationToken cancellationToken) =>
        ServerProcess.StartAsync("godwit", worker, GodwitArguments(run, readOnly, files), Path.Combine(run, "nbd.sock"), cancellationToken);

    /// <summary>Writes the worker's configuration.</summary>
    /// <returns>What the worker is told; its socket is nbd.sock in the folder.</returns>
    public static string[] GodwitArguments(string run, bool readOnly, IEnumerable<ServedFile> files)
    {
        Directory.CreateDirectory(run);
        var disks = files.Select(file => new WorkerDiskConfig(
            new WorkerDisk(file.Name, file.Path, file.Format == "vhdx" ? DiskFormat.VhdxDynamic : DiskFormat.Raw, readOnly)));
        var json = JsonSerializer.SerializeToUtf8Bytes(new WorkerConfig(Guid.NewGuid(), [.. disks]), ApiJson.Default.WorkerConfig);
        File.WriteAllBytes(Path.Combine(run, "worker.json"), json);
        return ["serve", "--config", run, "--run", run];
    }

    /// <summary>QEMU's exporter; its own lock is off, because two of them would be in each other's way.</summary>
    public static Task<ServerProcess> QemuAsync(
        string name, string aio, string socket, bool readOnly, IReadOnlyList<ServedFile> files, CancellationToken cancellationToken)
    {
        var access = readOnly ? ",read-only=on" : "";
        var writable = readOnly ? "" : ",writable=on";
        List<string> arguments = ["--nbd-server", $"addr.type=unix,addr.path={socket}"];
        foreach (var file in files)
        {
            arguments.AddRange(
            [
                "--blockdev", $"file,node-name={file.Name}-file,filename={file.Path},aio={aio},locking=off{access}",
                "--blockdev", $"{file.Format},node-name={file.Name},file={file.Name}-file{access}",
                "--export", $"nbd,id={file.Name},node-name={file.Name},name={file.Name}{writable}",
            ]);
        }

        return ServerProcess.StartAsync(name, "qemu-storage-daemon", arguments, socket, cancellationToken);
    }

    /// <summary>nbdkit with its plugin for a file, which answers to any name.</summary>
    public static Task<ServerProcess> NbdkitAsync(string socket, string path, CancellationToken cancellationToken) =>
        ServerProcess.StartAsync("nbdkit", "nbdkit", NbdkitArguments(socket, path), socket, cancellationToken);

    /// <summary>What nbdkit is told.</summary>
    public static string[] NbdkitArguments(string socket, string path) => ["-f", "-U", socket, "file", path];
}
