"""What is drawn onto pictures: instances in several styles, heat maps, vehicle poses, contact sheets."""
