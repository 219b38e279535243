using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Worker.Interop;
using Godwit.Worker.Mirrors;

namespace Godwit.Worker.Layers;

/// <summary>Whether a new image may be put on top of a disk as it is now.</summary>
internal static class LayerPlace
{
    /// <summary>What every program that makes checkpoints takes as its limit.</summary>
    internal const int MostLayers = 50;

    /// <summary>Makes every check that needs nothing to be written.</summary>
    /// <exception cref="GodwitException">InvalidRequest: a path that is none; Unsupported: a raw disk; WrongState: read-only, being mirrored or merged, or too
    /// many layers; AlreadyExists; AccessDenied; NotFound: the folder.</exception>
    internal static void Check(DiskLayers disk, string path, Guid job)
    {
        CheckDisk(disk);
        CheckPath(disk, path, job);
    }

    private static void CheckDisk(DiskLayers disk)
    {
        var (entry, name, layers) = (disk.Context.Entry, disk.Context.Name, disk.Chain.Layers);
        if (layers[0].Description.Format == ImageFormat.Raw)
        {
            throw new GodwitException(
                ErrorCode.Unsupported, $"disk {name} ({entry.Disk.Path}) is a raw disk, which cannot be the parent of another image",
                "convert it to VHDX first (\"godwit disk convert\")");
        }

        if (entry.Disk.ReadOnly)
            throw new GodwitException(ErrorCode.WrongState, $"disk {name} is read-only: nothing is written to it, so it needs no layer");
        if (entry.Mirror is { SwitchedFrom: null, Failure: null } mirror)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"disk {name} is being mirrored by job {mirror.JobId} to {mirror.TargetPath}", "wait for that job, or cancel it");
        }

        if (entry.Merge is { State: not MergeState.Merged, Failure: null } merge)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"layer {merge.Path} of disk {name} is being merged by job {merge.JobId}", "wait for that job, or cancel it");
        }

        if (layers.Count >= MostLayers)
        {
            throw new GodwitException(
                ErrorCode.WrongState, $"the chain of disk {name} has {layers.Count} layers; {MostLayers} is the most", "merge some of them first");
        }
    }

    private static void CheckPath(DiskLayers disk, string path, Guid job)
    {
        var ending = ChildImage.FormatOver(disk.Chain.Layers[0].Description.Format) == ImageFormat.VhdxDifferencing ? ".avhdx" : ".avhd";
        if (path is null || !Path.IsPathRooted(path) || Path.GetFullPath(path) != path)
            throw new GodwitException(ErrorCode.InvalidRequest, $"the new layer must be the absolute path of a file, not \"{path}\"");
        if (!path.EndsWith(ending, StringComparison.OrdinalIgnoreCase) || Path.GetFileNameWithoutExtension(path).Length == 0)
            throw new GodwitException(ErrorCode.InvalidRequest, $"the new layer of disk {disk.Context.Name} must be called *{ending}, not {path}");
        var folder = Path.GetDirectoryName(path)!;
        if (!Directory.Exists(folder))
            throw new GodwitException(ErrorCode.NotFound, $"the folder {folder} does not exist", "make it first");
        foreach (var place in (string[])[folder, disk.Chain.Layers[0].Path])
        {
            if (disk.Context.ParentFolders?.Allow(place) == false)
            {
                throw new GodwitException(
                    ErrorCode.AccessDenied, $"{place} is outside the folders that this host allows for disks ({disk.Context.ParentFolders})",
                    "choose another folder, or start godwitd with --allow-root");
            }
        }

        foreach (var name in (string[])[path, TargetFiles.Unfinished(path, job)])
        {
            if (FileStatus.Read(name) is not null)
                throw new GodwitException(ErrorCode.AlreadyExists, $"{name} exists already", "choose another name or remove the file first");
        }
    }
}
