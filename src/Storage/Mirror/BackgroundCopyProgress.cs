namespace Godwit.Storage.Mirror;

/// <summary>How far a <see cref="BackgroundCopy"/> has come. All in bytes.</summary>
/// <param name="Copied">Written to the target by the copy: data only, without zeroes, each rewrite counted again. Only grows;
/// its growth is the copy's rate.</param>
/// <param name="Read">Read from the source by the copy: what the source calls data.</param>
/// <param name="Left">Still marked as differing. Before the first look at the source's holes this is the whole device.</param>
/// <param name="Verified">Read back from both sides and found equal.</param>
/// <param name="ToVerify">To compare in all, <paramref name="Verified"/> included; 0 until both sides are in sync.</param>
public readonly record struct BackgroundCopyProgress(long Copied, long Read, long Left, long Verified, long ToVerify);
