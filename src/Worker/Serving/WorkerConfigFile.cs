using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Files;

namespace Godwit.Worker.Serving;

/// <summary>worker.json: what this worker serves, and everything it must remember across its own death.</summary>
/// <remarks>Safe from any thread. A change is on stable storage, or did not happen, when the call returns.</remarks>
internal sealed class WorkerConfigFile
{
    private readonly string _path;
    private readonly Lock _gate = new();
    private volatile WorkerConfig _current;

    private WorkerConfigFile(string path, WorkerConfig current)
    {
        _path = path;
        _current = current;
    }

    /// <summary>What the file says.</summary>
    internal WorkerConfig Current => _current;

    /// <summary>Reads the file.</summary>
    /// <exception cref="GodwitException">It is missing, unreadable or makes no sense.</exception>
    internal static WorkerConfigFile Load(string path) => new(path, Read(path));

    /// <summary>The entry of a disk.</summary>
    internal WorkerDiskConfig Disk(string name) => Current.Disks.First(entry => entry.Disk.Name == name);

    /// <summary>Changes the entry of a disk.</summary>
    /// <param name="name">Name of the disk.</param>
    /// <param name="change">Makes the new entry from the old one.</param>
    /// <exception cref="Storage.StorageException">The file system refused. The file then holds the old entry, or, if only the
    /// very last step failed, the new one: <see cref="Reload"/> tells.</exception>
    internal void Update(string name, Func<WorkerDiskConfig, WorkerDiskConfig> change) => Update([name], change);

    /// <summary>Changes the entries of several disks, all or none.</summary>
    /// <inheritdoc cref="Update(string, Func{WorkerDiskConfig, WorkerDiskConfig})"/>
    internal void Update(IReadOnlyList<string> names, Func<WorkerDiskConfig, WorkerDiskConfig> change)
    {
        lock (_gate)
        {
            var changed = _current with
            {
                Disks = [.. _current.Disks.Select(entry => names.Contains(entry.Disk.Name) ? change(entry) : entry)],
            };
            LocalFolder.WriteAtomically(_path, JsonSerializer.SerializeToUtf8Bytes(changed, ApiJson.Default.WorkerConfig));
            _current = changed;
        }
    }

    /// <summary>Takes over what the file really holds, after a change whose outcome is unknown.</summary>
    internal void Reload()
    {
        lock (_gate)
            _current = Read(_path);
    }

    private static WorkerConfig Read(string path)
    {
        try
        {
            var config = JsonSerializer.Deserialize(File.ReadAllBytes(path), ApiJson.Default.WorkerConfig);
            return Check(path, config);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new GodwitException(new Problem(ErrorCode.InvalidRequest, $"cannot read {path}: {e.Message}"), e);
        }
    }

    private static WorkerConfig Check(string path, WorkerConfig? config)
    {
        if (config?.Disks is null)
            throw new GodwitException(ErrorCode.InvalidRequest, $"{path}: there is no list of disks");
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in config.Disks)
        {
            // The name becomes part of a file name of ours.
            if (entry?.Disk is not { Name.Length: > 0, Path.Length: > 0 } disk || disk.Name.AsSpan().ContainsAny('/', '\0') || disk.Name[0] == '.')
                throw new GodwitException(ErrorCode.InvalidRequest, $"{path}: a disk has no name or path, or a name that cannot be part of a file name");
            if (!names.Add(disk.Name))
                throw new GodwitException(ErrorCode.InvalidRequest, $"{path}: two disks are called \"{disk.Name}\"");
            if (!Path.IsPathRooted(disk.Path))
                throw new GodwitException(ErrorCode.InvalidRequest, $"{path}: the path of {disk.Name} is not absolute: {disk.Path}");
        }

        return config;
    }
}
